"""Serve a number of requests and end: the process whose instructions are counted, see `instructions`.

python -m benchmarks.counted '{"framework": "flask", "variant": "bare", "routes": 1, "path": "", "requests": [300]}'
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

from benchmarks import telemetry
from benchmarks.apps import build, is_asgi
from benchmarks.drive import driver
from benchmarks.variants import VARIANTS

_WARM_UP = 192


def main() -> None:
    """Serve each number of requests; under callgrind, dump what each has taken."""
    given = json.loads(sys.argv[1])
    if "spans" in VARIANTS[given["variant"]].tells:
        telemetry.drop_spans()
    app = build(given["framework"], given["variant"], routes=given["routes"])
    client = driver(app, is_asgi=is_asgi(given["framework"]))
    path = given["path"] or f"/r{given['routes'] - 1}/42"
    client.repeat(path, _WARM_UP)
    marks = ctypes.CDLL(given["marks"]) if given["marks"] else None
    if marks:
        marks.start()
    for count in given["requests"]:
        client.repeat(path, count)
        if marks:
            marks.dump()
    os._exit(0)  # what the interpreter does at its end is no request's


if __name__ == "__main__":
    main()
