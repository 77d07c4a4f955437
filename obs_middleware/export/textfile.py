"""Textfile: Prometheus text for node-exporter's textfile collector.

node-exporter scrapes all files of a folder into one page. It refuses the whole page where a series is in it twice, and
a whole file where a sample has a timestamp. So each series says its service. What prometheus-client tells of the
process is left out, because node-exporter has it of itself with other help texts, and would log an error each time.
https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from obs_middleware.errors import ConfigError
from obs_middleware.export import checks
from obs_middleware.export.files import WholeFile
from obs_middleware.export.job import DOCUMENTATION, KEPT, SUCCESS

if TYPE_CHECKING:
    from obs_middleware.export.collected import Collected

_OF_PROCESS = (  # families of prometheus_client.ProcessCollector
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds",
    "process_open_fds",
    "process_max_fds",
)
_HEAD = f"# HELP {SUCCESS} {DOCUMENTATION[SUCCESS]}\n# TYPE {SUCCESS} gauge\n".encode()
_LAST_SUCCESS = re.compile(
    rb'^%s\{(?:[^\n]*,)?job_name="((?:[^"\\\n]|\\.)*)".*\n' % SUCCESS.encode(), re.MULTILINE
)


class Textfile:
    """Write the metrics to a file, every now and then.

    Args:
        path: of the file; node-exporter reads those whose names end in `.prom`.
        interval_seconds: between two exports.
        labels: of each series, its service unless given.

    Raises:
        ConfigError: the path does not end in `.prom`, or a label is none.
    """

    name = "textfile"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        interval_seconds: float = 15.0,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.file = WholeFile(path, exporter="Textfile", example="/srv/textfiles/shop.prom")
        if self.file.path.suffix != ".prom":
            raise ConfigError(
                f"Textfile wants a path that ends in .prom, because node-exporter reads no other, got {str(path)!r}"
            )
        self.interval_seconds = interval_seconds
        self._labels = None if labels is None else checks.labels("Textfile: labels", labels)

    def export(self, collected: Collected) -> None:
        """Write the file."""
        labels = {"service": collected.labels["service"]} if self._labels is None else self._labels
        text = collected.text(labels=labels, leave_out=_OF_PROCESS)
        self.file.write(self._with_earlier_jobs(text))

    def _with_earlier_jobs(self, text: bytes) -> bytes:
        """Add when jobs of earlier processes went well last, out of the file that stands there."""
        earlier: list[bytes] = []
        with suppress(OSError):
            own = {found[1] for found in _LAST_SUCCESS.finditer(text)}
            before = _LAST_SUCCESS.finditer(self.file.path.read_bytes())
            earlier = [found[0] for found in before if found[1] not in own][-KEPT:]
        if not earlier:
            return text
        start, _, rest = text.partition(_HEAD)
        return b"".join((start, _HEAD, *earlier, rest))
