"""What is generated from the code is fresh."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_keywords_that_editors_know_are_the_settings() -> None:
    keywords = script("settings_keywords")
    assert keywords.KEYWORDS.read_text() == keywords.module(), "call `make settings`"
