"""Have pytest sum up what the tests of all lanes have said: `python scripts/lane_results.py FOLDER`.

Each test that the folder's JUnit files tell of becomes a test that ends the same way, and the last line is pytest's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest


class LaneResults(pytest.File):
    """The file that one lane's tests have left."""

    def collect(self) -> Iterator[RecordedTest]:
        for case in ElementTree.parse(self.path).iter("testcase"):
            name = f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")
            yield RecordedTest.from_parent(self, name=name, case=case)


class RecordedTest(pytest.Item):
    """One test that has run in a lane."""

    def __init__(self, *, case: ElementTree.Element, **rest: Any) -> None:
        super().__init__(**rest)
        self._case = case

    def runtest(self) -> None:
        for kind in ("failure", "error"):
            if (found := self._case.find(kind)) is not None:
                pytest.fail(found.get("message") or kind, pytrace=False)
        if (skipped := self._case.find("skipped")) is not None:
            pytest.skip(skipped.get("message") or "")

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> LaneResults | None:
    return LaneResults.from_parent(parent, path=file_path) if file_path.suffix == ".xml" else None


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Print no dot for a test that has passed or been left out; each lane has done so."""
    if report.when == "call" and report.outcome != "failed":
        return report.outcome, "", ""
    return None


if __name__ == "__main__":
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["CI"] = "true"  # no line of the summary is cut off
    folder = sys.argv[1]
    options = [
        "-c",
        os.devnull,
        "--rootdir",
        folder,
        "-p",
        "no:cacheprovider",
        "--no-header",
        "-o",
        "console_output_style=classic",
    ]
    sys.exit(pytest.main([*options, folder], plugins=[sys.modules[__name__]]))
