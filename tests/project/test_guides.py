"""Each guide is tried as it is written: its apps serve, and its commands print what it shows.

It takes seconds for each guide, because real servers start.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from obs_middleware import Settings
from obs_middleware.metrics.plan import Plan
from tests.project.guide import FOLDER, ROOT, Block, blocks, reader

if sys.version_info >= (3, 11):
    import tomllib
else:  # the lane of these tests has a newer one
    tomllib = pytest.importorskip("tomllib")

GUIDES = sorted(FOLDER.glob("*.md"))
DOCS = sorted((ROOT / "docs").glob("*.md"))
NAMES = [guide.name for guide in GUIDES]


def test_guides_are_found() -> None:
    assert len(GUIDES) >= 14


@pytest.mark.parametrize("guide", GUIDES, ids=NAMES)
def test_guide_does_what_it_says(guide: Path, tmp_path: Path) -> None:
    with reader(tmp_path) as tries:
        tries.try_all(blocks(guide))


@pytest.mark.parametrize("guide", GUIDES, ids=NAMES)
def test_code_that_is_not_run_can_be_parsed(guide: Path) -> None:
    for block in blocks(guide):
        if block.language == "python":
            ast.parse(block.text)


@pytest.mark.parametrize("guide", GUIDES, ids=NAMES)
def test_settings_and_extras_that_are_named_exist(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    fields = Settings.__struct_fields__
    own = set(re.findall(r"\bOBS_([A-Z_]+)\b", text)) - {"DJANGO_HEALTH_DATABASES"}
    assert {name for name in own if name.lower() not in fields} <= {"PURE_PYTHON"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name for group in re.findall(r"obs-middleware\[([\w,]+)\]", text) for name in group.split(",")}
    assert extras <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("guide", GUIDES, ids=NAMES)
@pytest.mark.skipif(
    not (ROOT / "obs_middleware/cli").is_dir(), reason="there are no commands but `health` yet"
)
def test_commands_of_ours_exist(guide: Path) -> None:
    for name in sorted(set(re.findall(r"python -m obs_middleware (\w+)", guide.read_text()))):
        asked = [sys.executable, "-m", "obs_middleware", name, "--help"]
        assert subprocess.run(asked, capture_output=True, cwd=ROOT, check=False).returncode == 0, name


@pytest.mark.parametrize(
    ("guide", "preset"),
    [
        ("from-fastapi-instrumentator", "prometheus-fastapi-instrumentator"),
        ("from-flask-exporter", "prometheus_flask_exporter"),
        ("from-django-packages", "django-prometheus"),
    ],
)
def test_names_that_are_said_to_stay_are_those_of_the_preset(guide: str, preset: str) -> None:
    """That the preset has the old library's names is tested in tests/real/test_other_exporters.py."""
    text = (FOLDER / f"{guide}.md").read_text()
    stay = re.findall(r"^\| `(\w+)[^|]*\| (?:the same|without `transport`) \|", text, re.MULTILINE)
    plan = Plan(Settings.load(env={}, metric_names=preset))
    names = {f"{one.name}_total" if one.kind == "counter" else one.name for one in plan.instruments}
    names |= {gauge.name for gauge in plan.gauges}
    in_django = "".join(path.read_text() for path in (ROOT / "adapters/obs_django").glob("*.py"))
    labels = {label for one in plan.instruments for label in one.label_names}
    missing = {
        name
        for name in stay
        if name not in names | labels and f'"{name.removesuffix("_total")}' not in in_django
    }
    assert len(stay) > 2
    assert not missing


@pytest.mark.parametrize(
    "page", [*GUIDES, *DOCS, ROOT / "README.md", ROOT / "SECURITY.md"], ids=lambda page: page.name
)
def test_links_lead_to_a_page_and_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)", page.read_text(encoding="utf-8")
    ):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(_anchor, headings), f"{target}#{anchor}"


def _anchor(heading: str) -> str:
    """Return what GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    linked = {(ROOT / "docs" / name).resolve() for name in re.findall(r"\]\(([^)#:]+\.md)", index)}
    assert {*DOCS, *GUIDES} - linked == {ROOT / "docs/README.md"}


def test_reader_notices_what_is_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the silence above is not the reader's own."""
    good, bad = Block("console", "$ echo a; echo b12c\na\nb…c\n"), Block("console", "$ echo a\nb\n")
    with reader(tmp_path) as tries:
        tries.try_all([good])
        monkeypatch.setattr("tests.project.guide.SECONDS", 0)
        with pytest.raises(AssertionError, match="nobody prints: b"):
            tries.try_all([bad])
