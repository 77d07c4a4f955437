"""A guide as its reader tries it: its files are written, its commands run, and what they print is compared.

- A block of code whose first line is `# name.ext` is a file of that name.
- In a block ```console, `$ …` is a command, and what follows is what it prints. A command that ends in `&` is a server.
- A block ```log has lines that a server has printed by then.
- In what is printed, `…` stands for any text; lines may be left out between those that a block has.

Blocks of other languages (```sh, ```text) are read only.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests import installed, programs, running

ROOT = installed.ROOT
FOLDER = ROOT / "docs/guides"
SECONDS = 60.0
_COMMAND_SECONDS = 100.0
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
_PORT = re.compile(r"(?<![\d.])(80\d\d|9090|9100)(?!\d)")
_PROGRAMS = ("prometheus", "promtool")


class Block(NamedTuple):
    """A block of a guide."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """Return the name of the file that it is."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Return each command of a console, and the lines that it is said to print."""
        parts = re.split(r"^\$ ", self.text.replace("\\\n", ""), flags=re.MULTILINE)[1:]
        return [(part.splitlines()[0], part.splitlines()[1:]) for part in parts]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


class Reader:
    """Who tries a guide in a folder of their own, on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._servers: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._environment = _environment(folder)

    def try_all(self, guide: list[Block]) -> None:
        """Do all that a guide says, from top to bottom."""
        for block in guide:
            if block.file:
                self._write(block.file, block.text)
            elif block.language == "console":
                for command, expected in block.commands:
                    self._do(command, expected)
            elif block.language == "log":
                self._find(block.text.splitlines())

    def _find(self, expected: list[str]) -> None:
        _within(lambda: _missing(expected, self._printed()), self._printed)

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._placed(text).replace("scrape_interval: 15s", "scrape_interval: 1s"))

    def _do(self, command: str, expected: list[str]) -> None:
        if command.startswith("pip install"):
            return
        if command.endswith("&"):
            self._serve(command.rstrip("& "))
            return
        found: list[str] = []

        def missing() -> str | None:
            found[:] = self._run(command).splitlines()
            return _missing(expected, found)

        _within(missing, lambda: [f"$ {command}", *found, *self._printed()])

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", self._placed(command)], cwd=self._folder, env=self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_COMMAND_SECONDS, check=False,
        )  # fmt: skip
        return done.stdout.decode()

    def _serve(self, command: str) -> None:
        command = re.sub(r"\bgunicorn ", f"gunicorn {' '.join(running.gunicorn_options())} ", command)
        log = self._folder / f"server-{len(self._servers)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec env {self._placed(command)}"], cwd=self._folder, env=self._environment,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._servers.append((process, log))
        ports = [self._port(named) for named in _PORT.findall(command)]

        def missing() -> str | None:
            assert process.poll() is None, f"{command} has ended:\n{log.read_text()}"
            for port in ports:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    continue
                return f"an answer at {port}"
            return None

        _within(missing, self._printed)

    def _placed(self, text: str) -> str:
        """Return text with free ports in place of those of the guide."""
        return _PORT.sub(lambda found: str(self._port(found[1])), text)

    def _port(self, named: str) -> int:
        return self._ports.setdefault(named, running.free_port())

    def _printed(self) -> list[str]:
        return [line for _, log in self._servers for line in log.read_text(errors="replace").splitlines()]

    def stop(self) -> None:
        """End the servers."""
        for process, _ in self._servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(running.STOP_SECONDS)


@contextlib.contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Begin to read, and end the servers in the end."""
    made = Reader(folder)
    try:
        yield made
    finally:
        made.stop()


def _environment(folder: Path) -> dict[str, str]:
    tools = folder / "bin"
    tools.mkdir()
    for name in _PROGRAMS:
        if found := programs.find(name):
            (tools / name).symlink_to(found)
    paths = [tools, Path(sys.executable).parent, *os.environ["PATH"].split(os.pathsep), "/usr/sbin"]
    sources = [folder, ROOT, ROOT / "adapters"]
    return installed.clean() | {
        "PATH": os.pathsep.join(map(str, paths)),
        "PYTHONPATH": os.pathsep.join(map(str, sources)),
        "PYTHONWARNINGS": "ignore",  # of frameworks about each other
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # our own plugins are no concern of a guide, and take a second
        "HOME": str(folder),
        "NO_PROXY": "*",
    }


def _missing(expected: list[str], printed: list[str]) -> str | None:
    """Return the first line that is expected and was not printed after those before it."""
    rest = iter(printed)
    for line in expected:
        wanted = re.compile(".*".join(map(re.escape, line.rstrip().split("…"))))
        if line.strip("… ") and not any(wanted.fullmatch(one.rstrip()) for one in rest):
            return line
    return None


def _within(missing: Callable[[], str | None], printed: Callable[[], list[str]]) -> None:
    """Wait until nothing is missing."""
    deadline = time.monotonic() + SECONDS
    while (line := missing()) is not None:
        assert time.monotonic() < deadline, "\n".join(
            (f"the guide shows, and nobody prints: {line}", *printed())
        )
        time.sleep(0.1)
