"""What README and docs say of the code is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from obs_middleware import Settings
from obs_middleware.settings.keywords import Keywords
from tests.project.support import script

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_table_of_settings_is_that_of_the_code() -> None:
    page = (DOCS / "settings.md").read_text()
    assert script("settings_table").table() in page, "call `make settings`"


def test_keywords_that_editors_know_are_the_settings() -> None:
    assert tuple(Keywords.__annotations__) == Settings.__struct_fields__


def test_conformance_table_holds_no_failure() -> None:
    table = (DOCS / "conformance.md").read_text()
    assert "✓" in table
    assert "✗" not in table


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_architecture_names_every_module() -> None:
    page = (DOCS / "architecture.md").read_text()
    _, _, files = page.partition("## Where is what")
    named = set[Path]()
    for row in re.findall(r"^\| (`.+?) \|", files, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([\w/]+\.py)`", row):
            folder = name.rpartition("/")[0] if "/" in name else folder
            named.add(Path(folder, name.rpartition("/")[2]))
    folders = ROOT / "obs_middleware", ROOT / "adapters"
    modules = {path.relative_to(folder) for folder in folders for path in folder.rglob("*.py")}
    assert named == {module for module in modules if module.name != "__init__.py"}


def test_every_decision_is_listed() -> None:
    pages = {path.name for path in (DOCS / "decisions").glob("[0-9]*.md")}
    assert set(re.findall(r"\]\((\d\d-[\w-]+\.md)\)", (DOCS / "decisions/README.md").read_text())) == pages


def test_every_local_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *DOCS.rglob("*.md"), ROOT / "example_apps/README.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
