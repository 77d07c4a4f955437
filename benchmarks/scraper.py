"""A client that scrapes a metrics page back to back, in a process of its own on the core that is not measured."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from types import TracebackType

from benchmarks.workers import ROOT, cores, on_core


class Scraper:
    """Scrape while the `with` block runs; `count` scrapes were answered in full."""

    def __init__(self, port: int, path: str) -> None:
        self.count = 0
        with on_core(cores()[0]):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.scraper", str(port), path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                text=True,
            )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __enter__(self) -> Scraper:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        printed, _ = self._process.communicate("", timeout=60)
        self.count = int(printed or 0)


def main(port: int, path: str) -> None:
    """Scrape from a line on standard input until it is closed; print how many times."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Accept": "text/plain", "Accept-Encoding": "gzip"}
    print(flush=True)
    os.read(0, 1)
    os.set_blocking(0, False)
    count = 0
    while _is_open():
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 200 or not response.read():
            raise SystemExit(f"{path}: {response.status}")
        count += 1
    print(count)


def _is_open() -> bool:
    try:
        return os.read(0, 1) != b""
    except BlockingIOError:
        return True


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
