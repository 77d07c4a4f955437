"""Lines in a file too, beside standard output: rotated by size, the last ones kept.

Each process has a file of its own, because two that rotate one file would lose lines of each other.
"""

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

from example_apps.audotics.telemetry import observer
from obs_middleware.logs import JsonFormatter

FOLDER = os.environ.get("AUDOTICS_LOG_DIR")  # unset: standard output alone
MOST_BYTES = int(os.environ.get("AUDOTICS_LOG_BYTES", "10000000"))
KEPT_FILES = 5


@observer.lifecycle.initialiser
def write_to_file() -> None:
    """Write the same JSON to the file of this process; once it serves, when the observer has set its own handler up."""
    if FOLDER:
        path = Path(FOLDER) / f"audotics-{os.getpid()}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=MOST_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
        handler.setFormatter(JsonFormatter(settings=observer.settings))
        logging.root.addHandler(handler)
