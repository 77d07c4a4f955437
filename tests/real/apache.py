"""Apache with mod_wsgi, as Debian has them: `apt install apache2 libapache2-mod-wsgi-py3`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import running
from tests.installed import ROOT
from tests.running import Server

MODULES = Path("/usr/lib/apache2/modules")
# The error log is where mod_wsgi puts what an app prints; a server that root has started gives its rights up.
CONFIG = """
ServerRoot {folder}
PidFile {folder}/pid
Listen 127.0.0.1:{port}
ServerName localhost
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
ErrorLog {folder}/stdout
ErrorLogFormat "%M"
{user}
WSGISocketPrefix {folder}/socket
WSGIDaemonProcess app processes=1 threads=2 python-home={home}
WSGIProcessGroup app
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {folder}/script.py
<Directory {folder}>
    Require all granted
</Directory>
"""
SCRIPT = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "adapters")!r}]
from tests.real.apps import wsgi as application
"""


@contextmanager
def serve(env: dict[str, Any]) -> Iterator[Server]:
    """Serve the small app."""
    program = shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not (MODULES / "mod_wsgi.so").exists():
        pytest.skip("no Apache with mod_wsgi here")
    if not (MODULES / f"mod_wsgi.so-{sys.version_info[0]}.{sys.version_info[1]}").exists():
        pytest.skip("this mod_wsgi is for another Python")
    is_root = os.geteuid() == 0
    if is_root and not all(folder.stat().st_mode & 0o001 for folder in ROOT.parents):
        pytest.skip("Apache gives up root's rights, and could not read the project")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), running.free_port()
        folder.chmod(0o755)
        (folder / "script.py").write_text(SCRIPT)
        values = {"folder": folder, "port": port, "modules": MODULES, "home": sys.prefix}
        config = CONFIG.format(**values, user="User nobody\nGroup nogroup" if is_root else "")
        (folder / "httpd.conf").write_text(config)
        command = [program, "-f", folder / "httpd.conf", "-DFOREGROUND"]
        with running.serve(command, folder=folder, env=env, port=port) as server:
            yield server
