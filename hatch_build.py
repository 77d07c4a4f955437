"""Build the compiled request path (`native/`) along with the package, where that can be done.

Where it can't, for want of a C compiler say, the package is built without: the Python code does the same, slower.
`OBS_PURE_PYTHON=1` leaves it out. `OBS_NATIVE_FLAGS` are flags for the compiler, over ours: `-Werror` where we build
for ourselves. `python hatch_build.py` builds it in place, for who changes it.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
MODULE = "obs_middleware._native"
SOURCES = ROOT / "native"
IN_PLACE = ROOT / "obs_middleware"
_FLAGS = (
    "-O2",
    "-Wall",
    "-Wextra",
    "-fvisibility=hidden",
)  # -O2 whatever CFLAGS says: half the speed without


class NativeBuildHook(BuildHookInterface[Any]):
    """Compile, and put what was compiled into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together; for an editable install next to the sources."""
        reason = why_not()
        if self.target_name != "wheel" or reason:
            if reason:
                self.app.display_warning(
                    f"obs-middleware is built without its compiled request path: {reason}"
                )
            return
        self._folder = tempfile.TemporaryDirectory()
        try:
            file = build(Path(self._folder.name))
        except (Exception, SystemExit) as error:
            self.app.display_warning(f"obs-middleware is built without its compiled request path: {error}")
            return
        if version == "editable":
            place(file, IN_PLACE)
            return
        build_data["force_include"][str(file)] = f"{IN_PLACE.name}/{file.name}"
        build_data["pure_python"], build_data["infer_tag"] = False, True


def why_not() -> str | None:
    """Return why nothing is to be compiled here; None where it is."""
    if os.environ.get("OBS_PURE_PYTHON", "") not in ("", "0"):
        return "OBS_PURE_PYTHON is set"
    if platform.python_implementation() != "CPython":
        return f"it is for CPython, this is {platform.python_implementation()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "it needs the GIL"
    return None


def build(folder: Path) -> Path:
    """Compile into a folder, and return the file.

    Raises:
        Exception: it can't be done.
    """
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    flags = [] if sys.platform == "win32" else [*_FLAGS, *os.environ.get("OBS_NATIVE_FLAGS", "").split()]
    extension = Extension(
        MODULE,
        [str(source) for source in sorted(SOURCES.glob("*.c"))],
        extra_compile_args=flags,
        extra_link_args=[flag for flag in flags if flag.startswith("-fsanitize")],
    )
    command = build_ext(Distribution({"name": "obs-middleware", "ext_modules": [extension]}))
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(MODULE))


def place(file: Path, folder: Path) -> None:
    """Put a file where it may be in use: it is replaced as one, never written to."""
    fresh = folder / f".{file.name}.{os.getpid()}"
    fresh.write_bytes(file.read_bytes())
    fresh.replace(folder / file.name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        place(build(Path(made)), IN_PLACE)
