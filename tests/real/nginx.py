"""nginx, as Debian has it, in front of a server: `apt install nginx-light`; .ci/run does so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import installed, running
from tests.running import Server

# One process, which stays what it is and has all its files in its folder.
CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""
LOCATION = """
        location /{path}/ {{
            proxy_pass {to};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-App {app};
        }}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def serve(folder: Path, locations: dict[str, tuple[str, str]]) -> Iterator[Server]:
    """Serve.

    Args:
        locations: by the first part of the path, which is cut off: where it leads to, and the app that is meant there.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no nginx here")
    port = running.free_port()
    config = CONFIG.format(
        folder=folder,
        port=port,
        temporary=" ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY),
        locations="".join(
            LOCATION.format(path=path, to=to, app=app) for path, (to, app) in locations.items()
        ),
    )
    (folder / "nginx.conf").write_text(config)
    command = [program, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]
    ready = f"/{next(iter(locations))}/health/live"
    with running.serve(command, folder=folder, env=installed.clean(), port=port, ready=ready) as server:
        yield server
