"""What the README says of the code is what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from obs_middleware import Settings
from obs_middleware.settings.keywords import Keywords

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_of_settings_is_that_of_the_code() -> None:
    assert script("settings_table").in_readme(README) == README


def test_keywords_that_editors_know_are_the_settings() -> None:
    assert tuple(Keywords.__annotations__) == Settings.__struct_fields__


def test_conformance_table_holds_no_failure() -> None:
    table = README.split("<!-- conformance:begin -->")[1].split("<!-- conformance:end -->")[0]
    assert "✓" in table
    assert "✗" not in table


def test_every_local_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "example_apps/README.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
