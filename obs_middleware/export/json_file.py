"""JsonFile: a snapshot of all metrics as one JSON object."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from obs_middleware.export.files import WholeFile

if TYPE_CHECKING:
    from obs_middleware.export.collected import Collected


class JsonFile:
    """Write `{"timestamp": …, "metrics": {…}, "events_count": …, "running": …}`, every now and then.

    `metrics` is what `observer.metrics.snapshot()` returns. A value that JSON has no number for is null.

    Args:
        path: of the file.
        interval_seconds: between two exports.

    Raises:
        ConfigError: the path is none of a file.
    """

    name = "json_file"

    def __init__(self, path: str | os.PathLike[str], *, interval_seconds: float = 15.0) -> None:
        self.file = WholeFile(path, exporter="JsonFile", example="/run/shop/metrics.json")
        self.interval_seconds = interval_seconds

    def export(self, collected: Collected) -> None:
        """Write the file."""
        content = {
            "timestamp": collected.timestamp,
            "metrics": collected.snapshot(),
            "events_count": collected.events_count,
            "running": collected.is_running,
        }
        self.file.write(msgspec.json.encode(content) + b"\n")
