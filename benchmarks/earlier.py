"""An earlier commit, built into a folder of its own, so that its cost is measured beside that of the working tree.

The folder holds what `pip install --no-deps --target` puts there, the C module included, and a link to this
package. A worker that starts there imports the earlier packages, and the same benchmark and libraries as the others.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PREFIX = "before-"
_EXPORTERS = ("obs_middleware.tracing.otlp.exporter", "obs_middleware.tracing.exporter")


def build(commit: str, stack: ExitStack) -> Path:
    """Return the folder that a commit was built into; it is removed when the stack ends.

    Raises:
        SystemExit: there is no such commit, or it cannot be built.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="obs-before-")))
    source, target = folder / "source", folder / "installed"
    packed = _run(["git", "archive", "--format=tar", commit], cwd=ROOT)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(source)
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "install", "--no-deps", "--target", str(target), str(source)], cwd=folder)
    (target / "benchmarks").symlink_to(ROOT / "benchmarks")
    _run([sys.executable, "-m", "compileall", "-q", str(target)], cwd=folder)
    return target


def _run(command: list[str], *, cwd: Path) -> bytes:
    wanted = {name: value for name, value in os.environ.items() if name != "OBS_PURE_PYTHON"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, env=wanted, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode()[-2000:]}")
    return done.stdout


def exporter() -> Any:
    """Return the module that holds `OtlpExporter`, by the name that it has in the commit that is measured."""
    for name in _EXPORTERS:
        try:
            module = import_module(name)
        except ImportError:
            continue
        if hasattr(module, "OtlpExporter"):
            return module
    raise ImportError(f"none of {', '.join(_EXPORTERS)} has OtlpExporter")


def is_compiled() -> bool:
    """Return whether the C functions are in use, asked as the commit that is measured wants it."""
    try:
        from obs_middleware import _speedups
    except ImportError:
        return bool(import_module("obs_middleware.native").core.is_in_use)
    return _speedups.is_in_use()
