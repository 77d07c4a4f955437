"""Files that others read at any moment: they see the old content or the new one, and never a part."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from obs_middleware.errors import ConfigError


class WholeFile:
    """A file that is replaced whole.

    Args:
        exporter: whose file it is, for errors.
        example: a path, for errors.

    Raises:
        ConfigError: the path is none of a file.
    """

    def __init__(self, path: str | os.PathLike[str], *, exporter: str, example: str) -> None:
        try:
            self.path = Path(path)
        except TypeError:
            self.path = Path()
        if not self.path.name:
            raise ConfigError(f"{exporter} wants the path of a file such as {example!r}, got {path!r}")

    def write(self, content: bytes) -> None:
        """Write a file beside the path, then put it in the place of the old one."""
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            beside.write_bytes(content)
            beside.replace(self.path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise


def check_files_differ(exporters: Iterable[object]) -> None:
    """Raise where two exporters have one file: each would replace what the other has written."""
    files = [file for one in exporters if isinstance(file := getattr(one, "file", None), WholeFile)]
    paths = set[str]()
    for file in files:
        path = os.path.realpath(file.path)
        if path in paths:
            raise ConfigError(
                f"{file.path} is the file of another exporter already: give each exporter a file of its own"
            )
        paths.add(path)
