"""The project as users get it: built once in a run, installed into virtual environments of its own."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

from hatch_build import why_not
from obs_middleware._speedups import SWITCH

ROOT = Path(__file__).parents[1]
OURS = ("OBS_", "OTEL_", "LOG_LEVEL", "SERVICE_", "REDACT_PII", "TRACING_ENABLED", "OTLP_ENDPOINT")


@cache
def built() -> Path:
    """Return the folder with the source distribution and the wheel, which is built from it."""
    folder = _folder()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


def has_compiler() -> bool:
    """Tell whether C can be compiled here, and is to be."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    return shutil.which(compiler) is not None and why_not() is None


def wheel() -> Path:
    (found,) = built().glob("*.whl")
    return found


def sdist() -> Path:
    (found,) = built().glob("*.tar.gz")
    return found


@cache
def empty_environment(name: str) -> Path:
    """Return the Python of a new virtual environment with nothing in it; one for each name."""
    folder = _folder() / name
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    return folder / "bin" / "python"


def install(python: Path, *what: str) -> None:
    """Install the wheel, with extras, or anything else; the pip that runs the tests does it."""
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "--disable-pip-version-check",
        "-qq",
        "install",
        *what,
    )


def run(*command: object, **environment: str) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        list(map(str, command)),
        env=clean() | environment,
        cwd=_folder(),
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, f"{command[:4]} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean() -> dict[str, str]:
    """Return the environment without settings of ours and without a way to the sources."""
    dropped = (*OURS, "PYTHONPATH", "COVERAGE_", "DJANGO_SETTINGS_MODULE")
    return {
        name: value for name, value in os.environ.items() if not name.startswith(dropped) or name == SWITCH
    }


def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="obs-middleware-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
