"""PostgreSQL, MariaDB, Redis, memcached and RabbitMQ, as Debian has them, each with a folder of its own on loopback.

`apt install postgresql mariadb-server redis-server memcached rabbitmq-server`; .ci/run does so. All are begun at once,
because RabbitMQ alone takes most of the time. Where root runs the tests they run as `nobody`, as some refuse root.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.running import free_port

START_SECONDS = 90
PLACES = [*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True), "/usr/lib/rabbitmq/bin"]
PATH = ":".join([*PLACES, "/usr/sbin", "/usr/bin", "/bin", os.environ["PATH"]])
PROGRAMS = (
    "postgres",
    "initdb",
    "mariadbd",
    "mariadb-install-db",
    "redis-server",
    "memcached",
    "rabbitmq-server",
)


class Servers:
    """What runs, and at which ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self._running: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """Start all of them, and wait for none."""
        self._rabbitmq()
        self._postgres()
        self._mariadb()
        for name, command in {
            "redis": "redis-server --bind 127.0.0.1 --port {port} --save '' --dir {folder} --databases 1",
            "memcached": "memcached -l 127.0.0.1 -p {port} -U 0 -m 16 -t 1",
        }.items():
            self._start(name, command)

    def port(self, name: str) -> int:
        """Return the port of a server when it answers there."""
        port, deadline = self.ports[name], time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return port
            assert time.monotonic() < deadline, f"no {name}: {(self.folder / f'{name}.log').read_text()}"
            time.sleep(0.05)

    def end(self) -> None:
        for process in self._running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in self._running:
            process.wait(10)

    def _postgres(self) -> None:
        options = (
            "-c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=16MB"
        )
        data = "initdb -D {folder}/data -U app -A trust --no-sync --no-locale -E UTF8"
        self._start("postgres", f"{data} && exec postgres -D {{folder}}/data -p {{port}} {options}")

    def _mariadb(self) -> None:
        make = "mariadb-install-db --no-defaults --datadir={folder}/data --auth-root-authentication-method=normal"
        options = (
            "--bind-address=127.0.0.1 --port={port} --socket={folder}/socket --pid-file={folder}/pid "
            "--innodb-buffer-pool-size=8M --innodb-log-file-size=4M --innodb-flush-method=nosync --tmpdir={folder}"
        )
        self._start(
            "mariadb",
            f"{make} --skip-test-db && exec mariadbd --no-defaults --datadir={{folder}}/data {options}",
        )

    def _rabbitmq(self) -> None:
        """Start RabbitMQ, and the daemon that Erlang would otherwise start and leave behind."""
        self._start("epmd", "epmd -address 127.0.0.1 -port {port}")
        self.port("epmd")
        files = {"enabled": "[].", "env": "", "rabbitmq.conf": "log.console = true\nlog.file = false\n"}
        folder = self._folder("rabbitmq")
        for name, text in files.items():
            (folder / name).write_text(text)
        env = {
            "RABBITMQ_NODENAME": "tests@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": "{port}",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self._start("rabbitmq", "exec /usr/lib/rabbitmq/bin/rabbitmq-server", env)

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        return folder

    def _start(self, name: str, command: str, env: dict[str, str] | None = None) -> None:
        folder, port = self._folder(name), free_port()
        filled = command.replace("{folder}", str(folder)).replace("{port}", str(port))
        environment = {"PATH": PATH, "HOME": str(folder), "LC_ALL": "C"}
        environment.update({key: text.replace("{port}", str(port)) for key, text in (env or {}).items()})
        nobody = (
            ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        )
        with (self.folder / f"{name}.log").open("wb") as log:
            self._running.append(
                subprocess.Popen(
                    [*nobody, "sh", "-c", filled],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        self.ports[name] = port


@contextmanager
def running() -> Iterator[Servers]:
    """Run the servers."""
    missing = [name for name in (*PROGRAMS, "epmd", "setpriv") if shutil.which(name, path=PATH) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        servers = Servers(folder)
        try:
            servers.begin()
            yield servers
        finally:
            servers.end()


def rows(connection: Any, query: str) -> list[Any]:
    """Return what a query finds over a DB-API connection."""
    cursor = connection.cursor()
    cursor.execute(query)
    return list(cursor.fetchall())
