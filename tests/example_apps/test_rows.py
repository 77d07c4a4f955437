"""docs/example-services.md says what is so, and no service grows out of what a newcomer reads in one sitting."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from example_apps.demo import pages
from example_apps.demo.processes import Running

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/example-services.md"
ENDINGS = re.compile("(_total|_bytes|_seconds)+$")  # which a declaration may leave to the library
MOST_LINES = {"tokpulse": 450, "audotics": 450, "utilityfog": 450, "zerostate": 500}


class Row(NamedTuple):
    service: str
    names: list[str]  # what stands in backticks, without labels
    file: Path
    test: str
    test_file: Path


def rows() -> Iterator[Row]:
    service = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            service = line.removeprefix("## ")
        if found := re.match(r"\| \w+ \| (.+) \| \[.+\]\((.+)\) \| \[(\w+)\]\((.+)\) \|$", line):
            names = re.findall(r"`([\w.]+)(?:\{[\w,]+\})?`", found[1])
            yield Row(service, names, PAGE.parent / found[2], found[3], PAGE.parent / found[4])


@pytest.mark.parametrize(
    "row", list(rows()), ids=lambda row: f"{row.service}-{'-'.join(row.names) or row.test}"
)
def test_each_row_names_code_and_a_test_that_are_there(row: Row) -> None:
    code = "".join(path.read_text() for path in sorted(row.file.parent.glob("*.py")))
    library = "".join(path.read_text() for path in sorted((ROOT / "obs_middleware").rglob("*.py")))
    assert row.file.exists()
    assert f"def {row.test}(" in row.test_file.read_text()
    for name in row.names:
        assert ENDINGS.sub("", name) in code + library, name


@pytest.mark.parametrize("service", ["zerostate"])
def test_each_metric_of_a_running_service_has_its_row(alone: dict[str, Running], service: str) -> None:
    found = set(re.findall(rf"^# TYPE {service}_(\w+) ", pages.read(alone[service]), re.MULTILINE))
    assert found == {name for row in rows() if row.service == service for name in row.names} & found


NO_CODE = (
    *(tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
)


def lines_of_code(path: Path) -> int:
    """Count the lines that have code: no blank ones, no comments, no docstrings, no imports."""
    lines: set[int] = set()
    first = None  # the first token of a statement: a text is a docstring
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.NEWLINE:
                first = None
            elif token.type not in NO_CODE:
                first = first or token
                if first.type != tokenize.STRING and first.string not in ("import", "from"):
                    lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


@pytest.mark.parametrize("service", MOST_LINES)
def test_a_service_stays_small(service: str) -> None:
    """What `makemigrations` writes is not counted."""
    files = [
        path for path in (ROOT / "example_apps" / service).rglob("*.py") if "migrations" not in path.parts
    ]
    assert sum(map(lines_of_code, files)) <= MOST_LINES[service]
