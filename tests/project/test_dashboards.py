"""The dashboards by the rules of a good one: nothing overlaps, everything is explained, every query is PromQL."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests import dashboards
from tests.dashboards import FILES, Content
from tests.installed import ROOT

FOR_EVERYBODY = {"http-overview", "service-detail", "slo", "runtime"}
OF_ZEROSTATE = {"network-overview", "execution-performance", "economic-activity", "system-health"}
OF_TOKPULSE = {"webhooks-health", "widget-performance", "api-health", "jobs-queues", "tenancy-overview"}

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_all_dashboards_are_there_under_their_names() -> None:
    folders = {path.stem: path.parent.relative_to(ROOT).as_posix() for path in FILES}
    assert {
        name for name, folder in folders.items() if folder == "obs_middleware/cli/dashboards"
    } == FOR_EVERYBODY
    assert set(folders) == FOR_EVERYBODY | OF_ZEROSTATE | OF_TOKPULSE | {"audotics", "utilityfog"}


def test_rendered_files_are_fresh() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk wants Python 3.11")
    from monitoring.dashboards import rendering

    assert set(rendering.DASHBOARDS) == set(FILES)
    assert not rendering.stale(), "call `make dashboards`"


@each
def test_grafanas_own_classes_read_it_and_write_the_same(path: Path) -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk wants Python 3.11")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()  # else options of panels and queries stay as they are, unread
    content = dashboards.read(path)
    assert json.loads(json.dumps(Dashboard.from_json(content), cls=JSONEncoder)) == content


def test_each_dashboard_has_a_name_and_an_address_of_its_own() -> None:
    contents = [dashboards.read(path) for path in FILES]
    for key in ("uid", "title"):
        assert len({content[key] for content in contents}) == len(FILES)
    assert all(re.fullmatch(r"[a-z-]{1,40}", content["uid"]) for content in contents)


@each
def test_panels_fill_the_grid_and_do_not_overlap(path: Path) -> None:
    """Each line is 24 wide, and no place is taken twice, nor left free."""
    taken = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in dashboards.read(path)["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    height = 1 + max(y for _, y in taken)
    assert taken == Counter(itertools.product(range(24), range(height)))


@each
def test_each_panel_says_what_it_shows(path: Path) -> None:
    content = dashboards.read(path)
    shown = dashboards.panels(content)
    titles = Counter(panel["title"] for panel in content["panels"])
    assert not [title for title, count in titles.items() if count > 1]
    for panel in shown:
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"]
        assert len(panel["description"]) > 25, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["description"].rstrip(".") != panel["title"]
        assert defaults["unit"], panel["title"]
        assert defaults["thresholds"]["steps"][0]["value"] is None, panel["title"]


@each
def test_each_panel_and_query_asks_the_data_source_that_is_chosen(path: Path) -> None:
    content = dashboards.read(path)
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in dashboards.panels(content):
        assert panel["datasource"] == chosen
        assert panel["targets"]
        assert all(target["datasource"] == chosen for target in panel["targets"])
    assert all(
        variable["datasource"] == chosen
        for variable in dashboards.variables(content)
        if variable["type"] == "query"
    )


@each
def test_each_number_in_a_panel_has_a_unit_of_its_own(path: Path) -> None:
    """Columns of a table differ in their unit, so each says it."""
    for panel in dashboards.panels(dashboards.read(path)):
        if panel["type"] == "table":
            named = panel["transformations"][1]["options"]["renameByName"].values()
            units = {
                override["matcher"]["options"]
                for override in panel["fieldConfig"]["overrides"]
                if any(one["id"] == "unit" and one["value"] for one in override["properties"])
            }
            assert units == set(named)


@each
def test_variables_choose_the_data_source_and_the_service(path: Path) -> None:
    content = dashboards.read(path)
    names = [variable["name"] for variable in dashboards.variables(content)]
    assert names[:1] == ["datasource"]
    assert "job" in names
    assert "instance" in names or path.stem == "audotics"  # whose series say their instance themselves
    used = json.dumps(
        [content["panels"], content["links"]] + [one.get("query") for one in dashboards.variables(content)]
    )
    assert not [name for name in names if f"${name}" not in used and f"${{{name}}}" not in used]
    assert all(
        variable["description"]
        for variable in dashboards.variables(content)
        if variable["type"] != "constant"
    )


@each
def test_every_query_parses_and_no_variable_is_unknown(path: Path) -> None:
    content = dashboards.read(path)
    values = dashboards.fixed_values(content)
    asked = [query.expression for query in dashboards.queries(content)]
    asked += [
        dashboards.label_values(variable)[0]
        for variable in dashboards.variables(content)
        if variable["type"] == "query"
    ]
    for expression in asked:
        dashboards.parsed(dashboards.with_values(expression, values))
    for link in dashboards.links(content):
        dashboards.with_values(link, values | {"__from": "1", "__to": "2"})


@each
def test_rates_use_the_interval_that_grafana_computes(path: Path) -> None:
    """A fixed window shows nothing where scrapes are rare, and too much where the range is long."""
    for query in dashboards.queries(dashboards.read(path)):
        windows = set(re.findall(r"\[([^\]]+)\]", query.expression))
        allowed = {"$__rate_interval", "$__range"}
        assert windows <= allowed or path.stem == "slo", (query, windows)  # whose windows are the point


@each
def test_a_share_is_0_while_nothing_has_failed(path: Path) -> None:
    """The series of a failure begins with the first one: a share of errors must not be empty until then."""
    failing = re.compile(r'(status|code|result)\w*=~?"(5|4|failed|error)')
    for query in dashboards.queries(dashboards.read(path)):
        is_share = "\n  / (" in query.expression
        if is_share and failing.search(query.expression):
            assert " or 0 * " in query.expression or " or vector(0)" in query.expression, query


@each
def test_it_has_a_time_range_a_refresh_tags_and_a_way_to_the_runbooks(path: Path) -> None:
    content: Content = dashboards.read(path)
    assert re.fullmatch(r"now-\d+h", content["time"]["from"])
    assert content["refresh"] in {"30s", "1m"}
    assert "obs-middleware" in content["tags"]
    assert len(content["tags"]) == 2
    found = list(dashboards.links(content))
    assert "${runbooks}/README.md" in found
    assert all(link.startswith(("${runbooks}/", "/explore?")) for link in found)


def test_the_table_in_the_docs_says_of_each_dashboard_that_all_its_queries_give_data() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| \[([a-z-]+)\].*? \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE))
    wanted = set()
    for path in FILES:
        content = dashboards.read(path)
        panels, queries = len(dashboards.panels(content)), len(dashboards.queries(content))
        wanted.add((path.stem, str(panels), str(queries), str(queries)))
    assert rows == wanted, "call `python -m tests.example_apps.panel_data`"


@each
def test_each_runbook_that_a_panel_links_to_is_there(path: Path) -> None:
    runbooks = ROOT / "docs" / "runbooks"
    if not runbooks.is_dir():
        pytest.skip("no docs/runbooks here: not seen is that links to runbooks lead to one")
    linked = {
        link.removeprefix("${runbooks}/")
        for link in dashboards.links(dashboards.read(path))
        if "runbooks" in link
    }
    assert linked <= {page.name for page in runbooks.iterdir()}


def test_slow_and_failing_requests_lead_to_their_traces_and_logs() -> None:
    """The panels of durations and errors have exemplars, and links to the traces and the logs of the service."""
    (path,) = (path for path in FILES if path.stem == "service-detail")
    content = dashboards.read(path)
    with_exemplars = {query.panel for query in dashboards.queries(content) if query.has_exemplars}
    assert with_exemplars == {
        "Duration with exemplars",
        "How durations spread, with exemplars",
        "Duration of failed requests, with exemplars",
    }
    assert {
        variable["query"] for variable in dashboards.variables(content) if variable["type"] == "datasource"
    } == {
        "prometheus",
        "jaeger",
        "loki",
    }
    assert [link for link in dashboards.links(content) if "${logs}" in link and "${job}" in link]
    assert [link for link in dashboards.links(content) if "${traces}" in link and "${job}" in link]
