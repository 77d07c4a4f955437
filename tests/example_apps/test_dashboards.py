"""Every query of every panel gives data, on the four services under traffic and a real Prometheus.

All dashboards share one start of the services, which takes half a minute: a rate needs rounds of traffic and scrapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import dashboards, scrapers
from tests.dashboards import FILES, Query
from tests.example_apps.observed import observed
from tests.example_apps.panel_data import answers, chosen, offered, problem_of, when_all_were_up
from tests.running import Server

pytestmark = [
    pytest.mark.skipif(
        scrapers.PROMETHEUS is None,
        reason="no prometheus here (scripts/fetch-debian-testing): not seen is that panels give data",
    ),
    pytest.mark.timeout(600),  # of the first test, which starts all of it on a busy machine
]
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with observed(tmp_path_factory.mktemp("observed")) as server:
        yield server


@each
def test_every_query_of_every_panel_gives_data(path: Path, prometheus: Server) -> None:
    """Every series that it asks for is there, and it gives a number that is finite."""
    found = answers(prometheus, dashboards.read(path))
    wrong = [one for one in found if one.problem]
    assert not wrong, "\n".join(f"{one.query.panel}: {one.problem}\n  {one.asked}" for one in wrong)


@each
def test_every_variable_offers_values(path: Path, prometheus: Server) -> None:
    content = dashboards.read(path)
    values = chosen(prometheus, content)
    for variable in dashboards.variables(content):
        if variable["type"] == "query":
            assert offered(prometheus, variable, values), variable["query"]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("sum(rate(obs_lost_total[30m])) or vector(0)", "no series: obs_lost_total"),
        ('sum(up{job="troubled", instance="nowhere"}) or vector(0)', "no series: up"),
        ("0 * sum(up) / 0", "no number"),
        ("sum by (job) (up", "bad_data"),
        ("sum(up)", "no exemplars"),
        ("sum(up) or vector(0)", ""),
    ],
)
def test_a_query_without_data_is_found(asked: str, problem: str, prometheus: Server) -> None:
    """Also where `or vector(0)` hides that a name is wrong."""
    query = Query("panel", asked, has_exemplars=problem == "no exemplars")
    found = problem_of(prometheus, query, asked, when_all_were_up(prometheus))
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
