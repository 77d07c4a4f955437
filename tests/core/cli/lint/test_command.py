"""`python -m obs_middleware lint`: what is wrong with dashboards and rules, a line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obs_middleware import __main__
from tests.http_servers import SilentHandler, serving

pytest.importorskip("promql_parser", reason="promql-parser does not load in Python 3.15")
pytestmark = pytest.mark.once
Capture = pytest.CaptureFixture[str]
SECONDS = "http_server_request_duration_seconds"
PAGE = """\
# TYPE shop_orders_total counter
shop_orders_total{state="paid"} 1
# TYPE shop_stock gauge
shop_stock 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dashboard(*queries: str, **more: Any) -> None:
    panels = [{"title": "Panel", "targets": [{"expr": query} for query in queries]}]
    Path("d.json").write_text(json.dumps({"panels": panels, **more}))


def lint(*arguments: str) -> int:
    return __main__.main(["lint", *arguments])


def complaints(capsys: Capture, *arguments: str) -> list[str]:
    code = lint("d.json", *arguments)
    lines = capsys.readouterr().out.splitlines()
    assert code == (1 if lines else 0)
    return lines


@pytest.mark.parametrize(
    "query",
    [
        f'sum by (http_route) (rate({SECONDS}_count{{job="$job",http_route=~"$route"}}[$__rate_interval]))',
        f"histogram_quantile(0.9, sum by (le, http_route) (rate({SECONDS}_bucket[${{window}}])))",
        f"histogram_quantile(0.9, sum without (http_route) (rate({SECONDS}_bucket[5m])))",
        f"histogram_quantile(0.9, topk(3, rate({SECONDS}_bucket[5m])))",
        f"histogram_quantile(0.9, sum by (http_route) (rate({SECONDS}[5m])))",  # a native histogram
        "topk($n, sum by ($by) (up)) > $__range_s",
        "[[metric]] + ${other:raw}",
        'max by (dst) (label_replace(http_server_active_requests, "dst", "$1", "url_scheme", "(.*)"))',
        "sum by (service_name) (up * on (instance) group_left (service_name) target_info)",
        'count_values("status", health_status) or {__name__=~"http_.*"}',
        'count by (name) (obs_fast_path == 0) and ALERTS{alertstate="firing"}',
        "max_over_time(rate(obs_dropped_total[5m])[1h:1m])",
    ],
)
def test_query_that_is_right_is_silent(query: str, folder: Path, capsys: Capture) -> None:
    dashboard(query)
    assert complaints(capsys) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f"rate({SECONDS}_counts[5m])", f"no metric is named {SECONDS}_counts: did you mean {SECONDS}_count"),
        ("my_own_metric_of_the_shop", "no metric is named my_own_metric_of_the_shop"),
        (
            f'{SECONDS}_count{{status="500"}}',
            f"{SECONDS}_count has no label status: it has error_type, http_req",
        ),
        (
            "sum by (route) (obs_dropped_total)",
            "obs_dropped_total has no label route: it has signal; --label",
        ),
        ('telemetry_series{a="b"}', "telemetry_series has no label a: it has none"),
        ("rate(http_server_active_requests[5m])", "rate() of http_server_active_requests, which is a gauge"),
        ("increase(health_status[5m])", "increase() of health_status, which is a gauge: use deriv()"),
        (
            f"histogram_quantile(0.9, sum(rate({SECONDS}_bucket[5m])))",
            "without le: aggregate with by (le, …)",
        ),
        (f"histogram_quantile(0.9, sum without (le) (rate({SECONDS}_bucket[5m])))", "without le"),
        ('{__name__="http_server_active_request"}', "did you mean http_server_active_requests"),
        ("sum(", "does not parse: unclosed left parenthesis"),
    ],
)
def test_query_that_is_wrong_is_told(query: str, words: str, folder: Path, capsys: Capture) -> None:
    dashboard(query, "up")
    (line,) = complaints(capsys)
    assert line.startswith(
        f"d.json: Panel: {words}" if not words.startswith(("without", "did")) else "d.json: Panel: "
    )
    assert words in line


def test_every_place_of_a_dashboard_is_read(folder: Path, capsys: Capture) -> None:
    loki = {"type": "loki"}
    Path("d.json").write_text(
        json.dumps(
            {
                "dashboard": {
                    "panels": [
                        {"type": "row", "panels": [{"id": 7, "targets": [{"expr": "in_row"}]}]},
                        {"title": "logs", "datasource": loki, "targets": [{"expr": '{app="a"} |= "b"'}]},
                        {"title": "text"},
                    ],
                    "annotations": {
                        "list": [{"name": "deploys", "expr": "in_annotation"}, {"name": "other"}]
                    },
                    "templating": {
                        "list": [
                            {"name": "a", "type": "query", "query": "label_values(in_variable, job)"},
                            {"name": "b", "type": "query", "query": {"query": "query_result(in_result)"}},
                            {"name": "c", "type": "query", "query": "label_values(job)"},
                            {"name": "d", "type": "query", "query": "metrics(.*)"},
                            {"name": "e", "type": "custom", "query": "1,2"},
                            {"name": "f", "type": "query", "query": "up", "datasource": loki},
                        ]
                    },
                }
            }
        )
    )
    assert [line.split(": no metric is named ") for line in complaints(capsys)] == [
        ["d.json: panel 7", "in_row"],
        ["d.json: annotation deploys", "in_annotation"],
        ["d.json: variable a", "in_variable"],
        ["d.json: variable b", "in_result"],
    ]


def test_rules_are_read_and_what_they_record_is_a_metric(folder: Path, capsys: Capture) -> None:
    Path("rules.yaml").write_text(
        "groups:\n- name: g\n  rules:\n"
        "  - record: job:requests:rate5m\n    expr: sum by (job) (rate(http_server_active_requests[5m]))\n"
        "  - alert: TooMany\n    expr: job:requests:rate5m > 5 and shop_orders > 1\n"
        "---\nkind: PrometheusRule\nspec:\n  groups:\n  - name: h\n    rules:\n"
        "    - {alert: Other, expr: job:errors > 1}\n"
        "---\n- 1\n"
    )
    Path("notes.yml").write_text("apiVersion: 1\n")
    assert lint(".") == 1
    out, err = capsys.readouterr()
    assert [line.partition(": ")[2].partition(":")[0] for line in out.splitlines()] == [
        "job",
        "TooMany",
        "Other",
    ]
    assert "rules.yaml: TooMany: no metric is named shop_orders\n" in out
    assert "4 queries in 2 files" not in err
    assert "3 queries in 2 files, 3 complaints" in err


def test_metrics_of_the_app_come_from_its_page_in_a_file(folder: Path, capsys: Capture) -> None:
    Path("page.txt").write_text(PAGE)
    dashboard(
        'sum(rate(shop_orders_total{state="paid",region="eu"}[5m])) / shop_stock', "rate(shop_stock[5m])"
    )
    first, second = complaints(capsys, "--metrics", "page.txt")
    assert "shop_orders_total has no label region: it has state" in first
    assert "rate() of shop_stock, which is a gauge" in second
    assert len(complaints(capsys, "--metrics", "page.txt", "--label", "region")) == 1


class Handler(SilentHandler):
    def do_GET(self) -> None:
        is_given = self.headers.get("Authorization") == "Bearer hunter2hunter2" and self.path == "/metrics"
        self.send_response(200 if is_given else 401)
        self.end_headers()
        self.wfile.write(PAGE.encode())


@pytest.fixture
def port() -> Iterator[int]:
    with serving(Handler) as port:
        yield port


def test_metrics_of_the_app_come_from_its_running_page(folder: Path, port: int, capsys: Capture) -> None:
    dashboard("shop_stock")
    assert complaints(capsys, "--metrics", f":{port}", "--token", "hunter2hunter2") == []
    assert lint("d.json", "--metrics", f"http://127.0.0.1:{port}/metrics") == 2
    assert "answers 401: give the URL of the metrics page, and --token" in capsys.readouterr().err


def test_metrics_are_declared_by_name(folder: Path, capsys: Capture) -> None:
    dashboard('node_load1 + shop_orders_total{state="paid"}', 'shop_orders_total{region="eu"}')
    (line,) = complaints(capsys, "--declared", "node_load1", "--declared", "shop_orders_total{state, kind}")
    assert "shop_orders_total has no label region: it has kind, state" in line


def test_metric_that_nobody_has_named_comes_with_the_cure(folder: Path, capsys: Capture) -> None:
    Path("d.yaml").write_text("groups: [{rules: [{record: 'shop_stock:sum', expr: sum(shop_stocks)}]}]")
    assert lint("d.yaml") == 1
    said = capsys.readouterr()
    assert said.out.endswith("no metric is named shop_stocks\n")  # its own record is no better
    assert "--metrics :8000; others by --declared NAME" in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.json"], "nothing.json is not there: give dashboards"),
        (["empty"], "empty has no file .json, .yaml or .yml"),
        (["broken.json"], "broken.json can't be read"),
        (["broken.yaml"], "broken.yaml is no YAML"),
        (["d.json", "--metrics", "nothing.txt"], "nothing.txt can't be read"),
        (["d.json", "--metrics", "broken.yaml"], "broken.yaml is no metrics page"),
        (["d.json", "--metrics", "nothing.prom"], "nothing.prom has no metrics"),
        (["d.json", "--metrics", ":1"], "is the app started?"),
    ],
)
def test_wrong_argument_is_told_with_the_cure(
    arguments: list[str], words: str, folder: Path, capsys: Capture
) -> None:
    dashboard("up")
    Path("empty").mkdir()
    Path("broken.json").write_text("{")
    Path("broken.yaml").write_text("a: [")
    Path("nothing.prom").write_text("")
    assert lint(*arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("package", "name"), [("promql_parser", "promql-parser"), ("yaml", "pyyaml")])
def test_package_that_is_missing_is_named(
    package: str, name: str, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dashboard("up")
    Path("rules.yaml").write_text("groups: []")
    monkeypatch.setitem(sys.modules, package, None)
    assert lint("d.json", "rules.yaml") == 2
    assert f"pip install {name}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        {"panels": [1, {"targets": [2]}, {"targets": {"expr": "up"}}, {"panels": "up"}]},
        {"panels": [], "annotations": [1], "templating": {"list": 1}},
        {"groups": 5},
        {"groups": [1, {"rules": "up"}, {"rules": [2]}]},
    ],
)
def test_what_is_no_object_where_one_belongs_is_left_out(folder: Path, content: Any) -> None:
    Path("d.json").write_text(json.dumps(content))
    assert lint("d.json") == 0


def test_rows_that_contain_themselves_are_read_once(folder: Path) -> None:
    Path("d.yaml").write_text("panels: &rows [{title: Row, targets: [{expr: up}], panels: *rows}]")
    assert lint("d.yaml") == 0


def test_query_that_no_parser_can_hold_is_told(folder: Path, capsys: Capture) -> None:
    dashboard("(" * 20_000 + "1" + ")" * 20_000)
    (line,) = complaints(capsys)
    assert "brackets inside each other" in line


def test_titles_can_not_write_lines_or_colours(folder: Path, capsys: Capture) -> None:
    Path("d.json").write_text(
        json.dumps({"panels": [{"title": "a\x1b[31m\nb", "targets": [{"expr": "no"}]}]})
    )
    (line,) = complaints(capsys)
    assert line.startswith("d.json: a\\x1b[31m\\nb: ")


def test_page_that_breaks_its_parser_is_told(folder: Path, capsys: Capture) -> None:
    dashboard("up")
    Path("page.txt").write_text("# TYPE\n# HELP\n")
    assert lint("d.json", "--metrics", "page.txt") == 2
    assert "page.txt" in capsys.readouterr().err
