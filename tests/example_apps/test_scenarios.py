"""The scenarios of the demo, as a person plays them."""

import io
import subprocess
import sys

import pytest

from example_apps.demo import scenario
from example_apps.demo.paper import Paper
from example_apps.demo.processes import ROOT
from example_apps.demo.scenarios import SCENARIOS


def demo(*arguments: str, module: str = "example_apps.demo") -> tuple[int, str]:
    command = [sys.executable, "-X", "utf8", "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=250, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.once
@pytest.mark.parametrize("name", ["noisy-tenant", "dead-worker"])
def test_a_scenario_shows_that_all_it_claims_holds(name: str, port_base: int) -> None:
    """It takes some seconds, because services start, and a lease runs out."""
    patient = "tests.example_apps.patient_demo"
    code, printed = demo("--scenario", name, "--port-base", str(port_base), module=patient)
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
