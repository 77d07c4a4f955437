"""What the tests of the repository share: its scripts as modules."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from tests.installed import ROOT


def script(name: str) -> Any:
    """Load a script of `scripts/` as a module of its own."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look it up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module
