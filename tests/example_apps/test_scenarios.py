"""The scenarios of the demo, as a person plays them; that a service stays small enough to be read."""

import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from example_apps.demo import scenario
from example_apps.demo.paper import Paper
from example_apps.demo.processes import ROOT
from example_apps.demo.scenarios import SCENARIOS

MOST_LINES = 450
NO_CODE = (
    *(tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
)


def demo(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-X", "utf8", "-m", "example_apps.demo", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=110, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.once
@pytest.mark.parametrize("name", ["noisy-tenant", "dead-worker"])
def test_a_scenario_shows_that_all_it_claims_holds(name: str, port_base: int) -> None:
    """It takes some seconds, because services start, and a lease runs out."""
    code, printed = demo("--scenario", name, "--port-base", str(port_base))
    assert code == 0, printed
    assert "✗" not in printed
    assert "metrics moved as they should" in printed


@pytest.mark.once
def test_scenarios_can_be_listed_and_an_unknown_one_is_told_which_there_are() -> None:
    code, printed = demo("--scenario", "list")
    assert code == 0
    assert all(one.name in printed and one.says in printed for one in SCENARIOS)
    assert demo("--scenario", "meteor") == (
        2,
        f"demo: no scenario is named 'meteor'. There are: {', '.join(one.name for one in SCENARIOS)}\n",
    )


def test_a_metric_that_does_not_move_as_it_should_is_no_success() -> None:
    stream = io.StringIO()
    orders = scenario.series("shop", "orders_total", status="ok")
    before, after = ({"shop": f'orders_total{{status="ok"}} {count}\n'} for count in (2, 3))
    expects = (scenario.grows(orders, 1), scenario.grows(orders), scenario.stays(orders))
    assert scenario.show_ending(Paper(stream), expects[:2], before, after, [])
    assert not scenario.show_ending(Paper(stream), expects, before, after, [])
    assert [line.split()[-1] for line in stream.getvalue().splitlines() if "as before" in line] == ["NOT"]


@pytest.mark.parametrize("name", ["tokpulse", "audotics"])
def test_a_service_has_few_lines_of_code(name: str) -> None:
    files = (ROOT / "example_apps" / name).glob("*.py")
    assert sum(map(lines_of_code, files)) <= MOST_LINES


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
