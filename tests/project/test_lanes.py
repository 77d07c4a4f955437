"""The lanes of CI: what is printed of them, and that one that fails fails the whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.project.support import script

PASSES = (
    '<testsuite><testcase name="a"/><testcase name="b"><skipped message="not here"/></testcase></testsuite>'
)
FAILS = (
    '<testsuite><testcase name="c"><failure message="3 is not 4"/></testcase><testcase name="d"/></testsuite>'
)


@pytest.fixture
def lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, which writes to a folder of its own."""
    module = script("lanes")
    monkeypatch.setattr(module, "OUT", tmp_path / "out")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    return module


def lane(lanes: Any, name: str, script: str, results: str = "") -> Any:
    """Return a lane that runs a shell script and leaves results of tests."""
    made = lanes.Lane(name, f"what {name} does", ["sh", "-c", script])
    if results:
        made.command[-1] = f"printf '%s' '{results}' >'{made.results}'; {script}"
    return made


def row_of(name: str, printed: list[str]) -> list[str]:
    """Return a lane's row of the table without its name and the seconds that it took."""
    (row,) = [line for line in printed if line.startswith(f"| {name} ")]
    _, _, what, seconds, *rest, _ = map(str.strip, row.split("|"))
    assert seconds.isdecimal()
    return [what, *rest]


def test_lanes_that_pass_are_summed_up_in_pytests_last_line(
    lanes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    first = lane(lanes, "one", "echo hello", PASSES)
    assert lanes.run_all([first], lambda: [lane(lanes, "two", "true")]) == 0
    printed = capfd.readouterr().out.splitlines()
    assert "hello" in printed
    assert row_of("one", printed) == ["what one does", "ok", "1", "0", "1"]
    assert row_of("two", printed) == ["what two does", "ok", "", "", ""]
    assert "3 passed, 1 skipped in" in printed[-1]


def test_a_lane_that_fails_fails_the_whole_and_its_log_ends_the_output(
    lanes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = lane(lanes, "one", "echo oh dear; exit 3", FAILS)
    assert lanes.run_all([], lambda: [failing, lane(lanes, "two", "true")]) != 0
    printed = capfd.readouterr().out.splitlines()
    assert printed[printed.index("=== one has failed. The end of its log:") + 1] == "oh dear"
    assert row_of("one", printed) == ["what one does", "FAILED", "1", "1", "0"]
    assert [line for line in printed if line.startswith("FAILED") and line.endswith("c - Failed: 3 is not 4")]
    assert "2 failed, 2 passed in" in printed[-1]


def test_a_lane_without_tests_that_fails_fails_the_whole(
    lanes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lanes.run_all([lane(lanes, "one", "exit 1")], list) != 0
    assert "1 failed in" in capfd.readouterr().out.splitlines()[-1]


def test_an_optional_lane_that_fails_is_left_out(lanes: Any, capfd: pytest.CaptureFixture[str]) -> None:
    optional = lane(lanes, "one", "exit 1")
    optional.is_optional = True
    assert lanes.run_all([optional], list) == 0
    assert row_of("one", capfd.readouterr().out.splitlines()) == ["what one does", "left out", "", "", ""]


def test_every_supported_python_has_a_lane_where_it_is_found(
    lanes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "find_python", lambda version: f"/usr/bin/python{version}")
    made = {each.name: each.what for each in lanes.test_lanes()}
    versions = lanes.asked("make", "-s", "versions").split()
    assert {what.split(",")[0] for what in made.values()} >= {f"Python {version}" for version in versions}
    assert made["newest"].startswith(f"Python {versions[-1]}, everything")
    assert made["oldest"].startswith(f"Python {versions[0]}, oldest releases")


def test_a_name_that_no_lane_has_is_an_error(lanes: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert lanes.run_all([], list) == 2
    assert "No lane has such a name" in capfd.readouterr().err


def test_python_that_sums_up_is_made_where_no_lane_has_made_it(
    lanes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    python = tmp_path / "python"
    makes = f"printf '#!/bin/sh\nexec {sys.executable} \"$@\"\n' >{python}; chmod +x {python}"
    monkeypatch.setattr(lanes, "PYTHON", python)
    monkeypatch.setattr(lanes, "MAKE_PYTHON", ["sh", "-c", makes])
    assert lanes.run_all([lane(lanes, "one", "true", PASSES)], list) == 0
    assert "2 passed, 1 skipped in" in capfd.readouterr().out.splitlines()[-1]


def test_python_that_cannot_be_made_fails_the_whole(
    lanes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lanes, "PYTHON", tmp_path / "python")
    monkeypatch.setattr(lanes, "MAKE_PYTHON", ["false"])
    assert lanes.run_all([lane(lanes, "one", "true", PASSES)], list) == 1
    assert "`false` has failed" in capfd.readouterr().err
