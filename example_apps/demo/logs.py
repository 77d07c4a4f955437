"""Read the log files of the services."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from example_apps.demo.processes import Running
from example_apps.demo.traffic import Hit

ACCESS = "obs.access"

Line = dict[str, Any]


def lines_of(service: Running) -> list[Line]:
    """Give the JSON lines of a service; what gunicorn prints of itself is plain text and left out."""
    return list(_parsed(service.log.read_text().splitlines()))


def is_access(line: Line) -> bool:
    return bool(line.get("logger") == ACCESS)


def hits(services: Mapping[str, Running]) -> Counter[Hit]:
    """Give what the access lines say was served, as hits."""
    return Counter(
        (name, str(line["method"]), line["route"] or "", str(line["status"] or ""))
        for name, service in services.items()
        for line in lines_of(service)
        if is_access(line)
    )


def _parsed(lines: Iterable[str]) -> Iterator[Line]:
    for line in lines:
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:  # the last line, half written
                continue
