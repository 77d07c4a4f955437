"""The benchmark: what it makes of its numbers, and that what it measures is really there. No time is asserted."""

from __future__ import annotations

import selectors
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext, suppress
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from benchmarks import earlier, end_to_end, instructions, request_cost, steady, written, zerostate
from benchmarks.apps import FRAMEWORKS, build, names
from benchmarks.cases import Case, cases, counted
from benchmarks.chart import Group, svg
from benchmarks.drive import Asgi
from benchmarks.machine import machine
from benchmarks.markdown import number, table
from benchmarks.proof import NotSeen, prove
from benchmarks.report import main_table, targets, whole
from benchmarks.results import added, cheapest, grown
from benchmarks.servers import parse
from benchmarks.summary import ratio, rounded, summary
from benchmarks.tables import other_tables
from benchmarks.targets import TARGETS, Target, verdict
from benchmarks.variants import VARIANTS, settings
from benchmarks.workers import ROOT, Process, WorkerFailed
from obs_middleware import Settings


def request_row(framework: str, variant: str, microseconds: float, **where: Any) -> dict[str, Any]:
    return {
        "framework": framework,
        "variant": variant,
        "routes": 1,
        "kind": "item",
        "exporter": "drop",
        "bare_us": 50.0,
        "added_us": summary([microseconds]),
        "pairs": 9,
        "chunk": 200,
        **where,
    }


def served_row(variant: str, rps: float, *, has_access_log: bool = False) -> dict[str, Any]:
    return {
        "framework": "fastapi",
        "variant": variant,
        "has_access_log": has_access_log,
        "rps": rps,
        "p99_ms": 5.0,
        "cpu_us": 100.0,
        "to_bare": {"rps": rps / 8000, "p99_ms": 1.0},
        "to_logged": {"rps": rps / 6000, "p99_ms": 1.0},
    }


RESULTS: dict[str, Any] = {
    "machine": machine(),
    "form": "short",
    "seconds": 540.0,
    "request": [
        request_row("fastapi", "no-op", 1.0),
        request_row("fastapi", "instrumentator", 40.0),
        request_row("fastapi", "starlette-exporter", 55.0),
        request_row("fastapi", "assembled-10", 180.0),
        request_row("fastapi", "ours-10", 10.0),
        request_row("fastapi", "before-10", 8.0),
        request_row("fastapi", "request-id", 5.0),
        request_row("fastapi", "request-id", 6.5, routes=200),
        request_row("fastapi", "ours-10", 12.0, routes=200),
        request_row("flask", "flask-exporter", 25.0),
        request_row("flask", "ours-10", 17.0),
    ],
    "instructions": [
        {"framework": "fastapi", "routes": routes, "kind": "item", "variant": name, "instructions": count}
        for name, routes, count in (
            ("bare", 1, 400_000),
            ("ours-10", 1, 500_000),
            ("before-10", 1, 480_000),
            ("bare", 200, 900_000),
            ("ours-10", 200, 1_004_000),
        )
    ],
    "against": "1234567",
    "server": [
        served_row("bare", 8000),
        served_row("bare", 6000, has_access_log=True),
        served_row("assembled-10", 2400),
        served_row("ours-10", 6600),
    ],
    "memory": [
        {
            "framework": "flask",
            "variant": name,
            "requests": 100,
            **{when: {"rss": size} for when in ("import", "first", "after")},
        }
        for name, size in (("bare", 30.0), ("ours-10", 36.5))
    ],
}


def readings() -> dict[str, str]:
    """Return the verdict on each target."""
    return {target.text: verdict(target, target.ours(RESULTS)) for target in TARGETS}


def test_a_summary_is_the_median_with_its_quartiles() -> None:
    assert summary([5, 1, 2, 3, 4]) == {"median": 3, "low": 2, "high": 4, "mean": 3}
    assert summary([7.0])["low"] == 7.0


def test_a_server_is_compared_with_the_bare_one_of_its_round() -> None:
    bare = [
        {"rps": 8000.0, "p99_ms": 4.0},
        {"rps": 4000.0, "p99_ms": 8.0},
    ]  # half the speed in the second round
    ours = [{"rps": 6400.0, "p99_ms": 5.0}, {"rps": 3200.0, "p99_ms": 10.0}]
    assert end_to_end._quotients(ours, bare) == [{"rps": 0.8, "p99_ms": 1.25}] * 2


def test_ours_is_loaded_between_the_two_servers_that_it_is_compared_with() -> None:
    chosen = end_to_end.contenders("fastapi")
    order = [chosen[which] for which in end_to_end._TURNS]
    assert sorted(order) == sorted(chosen)
    ours = [one.variant for one in order].index("ours-10")
    assert {order[ours - 1], order[ours + 1]} == {one for one in chosen if one.variant == "bare"}


def test_the_readme_and_the_table_show_what_the_target_is_judged_by() -> None:
    row = {**served_row("ours-10", 6600), "to_bare": {"rps": 0.5, "p99_ms": 1.0}}  # not that of the medians
    results = {**RESULTS, "server": [*RESULTS["server"][:2], row]}
    assert "with ours 50 %" in written._block(results)
    target = next(target for target in TARGETS if target.text.startswith("uvicorn"))
    assert target.ours(results) == 0.5
    assert "| 6600 | 0.50 |" in whole(results)


def test_a_ratio_needs_both_numbers() -> None:
    assert ratio(1.0, 4.0) == 0.25
    assert ratio(None, 4.0) is None
    assert ratio(1.0, None) is None
    assert ratio(1.0, 0.0) is None
    assert ratio(1.0, -0.1) is None


def test_results_keep_four_digits() -> None:
    assert rounded({"a": [1.23456, 3], "b": "x"}) == {"a": [1.235, 3], "b": "x"}


def test_numbers_have_no_more_digits_than_they_deserve() -> None:
    assert [number(None), number(1234.5), number(12.34), number(0.256, digits=2)] == [
        "–",
        "1234",
        "12.3",
        "0.26",
    ]


def test_instructions_alone_beside_an_earlier_commit_are_told_without_a_table_of_times() -> None:
    assert not other_tables({"against": "abc", "instructions": []})


def test_a_table_is_markdown() -> None:
    assert table(["", "µs"], [["ours", "1"]]) == "|  | µs |\n| :-- | --: |\n| ours | 1 |"


def test_results_are_found_by_what_was_measured() -> None:
    assert added(RESULTS, "fastapi", "ours-10") == 10
    assert added(RESULTS, "fastapi", "ours-10", routes=200) == 12
    assert added(RESULTS, "fastapi", "ours-10", exporter="otlp") is None
    assert cheapest(RESULTS, "fastapi") == 40
    assert cheapest(RESULTS, "asgi") is None
    assert grown(RESULTS, "flask", "ours-10") == 6.5


def test_targets_are_read_from_the_run() -> None:
    said = readings()
    assert said["FastAPI, all on, 10 %: ÷ instrumentator alone"] == "as wanted"
    assert said["Flask: ÷ prometheus-flask-exporter alone"] == "held"
    assert (
        said["FastAPI, all on, 10 %: instructions with 200 routes ÷ with 1 route; peer: request ID"] == "held"
    )
    assert said["FastAPI with 200 routes: time ÷ a request ID middleware's there"] == "missed"
    assert said["FastAPI, all on, 10 %: overhead ÷ before"] == "held"
    assert said["uvicorn + FastAPI: requests/s ÷ bare without access log"] == "held"
    assert said["the same ÷ bare with uvicorn's access log, which ours replaces"] == "held"
    assert said["Flask, memory over the bare app after the requests"] == "held"
    assert said["Starlette: ÷ instrumentator alone"] == "not measured"


def test_a_floor_is_held_from_above() -> None:
    floor = Target("", lambda _: None, None, 0.8, 0.9, is_floor=True)
    assert [verdict(floor, got) for got in (0.7, 0.8, 0.9)] == ["missed", "held", "as wanted"]


def test_the_targets_show_the_peers_beside_ours() -> None:
    assert (
        "| FastAPI, all on, 10 %: ÷ instrumentator alone | 4.50 | 0.25 | ≤ 0.45 | ≤ 0.28 | as wanted |"
        in targets(RESULTS)
    )


def test_the_main_table_has_the_frameworks_that_were_measured() -> None:
    head, _, bare, *_ = main_table(RESULTS).splitlines()
    assert head == "| µs of CPU per request | FastAPI | Flask |"
    assert bare == "| *the bare app itself* | 50 | 50 |"
    assert "| cheapest metrics middleware alone | 40 | 25 |" in main_table(RESULTS)
    assert "| **ours, all on, 10 %** | **10** | **17** |" in main_table(RESULTS)


def test_the_page_tells_the_class_of_the_machine_and_not_its_name() -> None:
    page = whole(RESULTS)
    assert "CPython" in page
    assert "### FastAPI, 200 routes, the last one hit" in page
    flat = page.partition("## With 200 routes ÷ with 1 route")[2]
    assert "| request ID alone | 1.30 |" in flat
    assert "| ours, all on, 10 % | 1.20 |" in flat
    assert socket.gethostname() not in page
    assert str(ROOT) not in page


def test_the_chart_is_svg_with_every_bar_and_cuts_what_dwarfs_the_others() -> None:
    drawn = svg(
        "a < b",
        ("them", "ours"),
        [Group("A", [10, 2]), Group("B", [900, None]), Group("C", [9, 8])],
        unit="µs",
    )
    root = ElementTree.fromstring(drawn)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "them", "ours", "A", "B", "C", "2.0 µs", "900 µs"} <= set(texts)
    bars = [
        element for element in root.iter("{http://www.w3.org/2000/svg}rect") if element.get("height") == "14"
    ]
    assert len(bars) == 5
    assert drawn.count('class="cut"') == 1
    assert "prefers-color-scheme: dark" in drawn


def test_the_readme_gets_the_block_between_its_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- benchmark:begin -->\nold\n<!-- benchmark:end -->\nafter\n")
    written.write(RESULTS, folder=tmp_path / "results", readme=readme)
    text = readme.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "with uvicorn's access log 75 %, with the assembled stack 30 %, with ours 82 %" in text
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "chart.svg",
        "results.json",
        "results.md",
    ]


def test_a_readme_without_marks_is_told() -> None:
    with pytest.raises(ValueError, match="benchmark:begin"):
        written.in_readme("nothing", RESULTS)


def test_what_wrk_prints_is_read() -> None:
    text = "     99%    1.50ms\n  4563 requests in 1.10s, 1.09MB read\nRequests/sec:   4145.40\n"
    assert parse(text, name="x") == {"rps": 4145.4, "p99_ms": 1.5, "requests": 4563}
    with pytest.raises(RuntimeError, match="x answers with errors"):
        parse(text + "Non-2xx or 3xx responses: 3", name="x")
    with pytest.raises(RuntimeError, match="no rate"):
        parse("", name="x")


def test_the_short_form_is_a_part_of_the_full_one() -> None:
    short, full = (set(cases(FRAMEWORKS, is_full=is_full)) for is_full in (False, True))
    assert short < full
    assert {case.variant for case in cases(FRAMEWORKS, is_full=True, variants=["ours-10"])} == {"ours-10"}


def test_an_earlier_commit_is_a_row_where_it_was_asked_for() -> None:
    without, with_it = (
        {case.variant for case in cases(FRAMEWORKS, is_full=False, has_before=has_before)}
        for has_before in (False, True)
    )
    assert with_it - without == {"before-10", "before-100"}
    assert {case.variant for case in counted(["flask"], is_full=False)} == {"bare", "ours-10"}


def test_now_and_before_stand_beside_each_other_in_time_and_instructions() -> None:
    page = whole(RESULTS)
    assert "| FastAPI, 10 % | 8 | 10 | 1.25 | 80 | 100 | 1.25 |" in page
    assert "| ours, all on, 10 % | 10 | 10 to 10 | 50 | 100 |" in page


def test_an_earlier_commit_that_is_not_there_ends_the_run() -> None:
    with ExitStack() as stack, pytest.raises(SystemExit, match="git archive"):
        earlier.build("no-such-commit", stack)


def test_a_worker_imports_the_packages_of_the_folder_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    (tmp_path / "obs_asgi.py").write_text("raise ImportError('the earlier one')")
    with pytest.raises(WorkerFailed, match="the earlier one"):
        Process("asgi", "before-10", folder=tmp_path)


def test_the_instructions_of_a_file_of_callgrind_are_read() -> None:
    assert instructions.totals("events: Ir\nsummary: 42\n\ntotals: 43\n") == 43


def test_ours_are_set_up_by_settings() -> None:
    for name in VARIANTS:
        if name.startswith("ours"):
            Settings(**settings(name))
    assert settings("ours-10")["trace_sample_ratio"] == 0.1
    assert "otlp_endpoint" not in settings("ours-no-sdk")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("variant", ["bare", "no-op", "ours-10"])
def test_a_worker_serves_rightly_and_tells_what_its_variant_stands_for(framework: str, variant: str) -> None:
    """Without the peers: the answer, and ID, series, lines and spans, or none of them."""
    assert variant in names(framework)
    with Process(framework, variant, routes=2) as worker:
        worker.ask("prove")
        worker.ask("repeat", count=1)


@pytest.mark.parametrize("variant", ["request-id", "instrumentator", "line"])
def test_a_variant_that_does_not_do_what_it_stands_for_is_not_timed(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Asgi(build("asgi", "bare"))) as bare, (tmp_path / "log").open("w+") as log:
        monkeypatch.setattr("sys.stdout", log)
        prove(bare, "bare", "/r0/42")
        with pytest.raises(NotSeen):
            prove(bare, variant, "/r0/42")


@pytest.mark.parametrize("fill", ["user", "counters"])
def test_both_pages_of_a_users_metrics_have_as_many_samples(fill: str) -> None:
    with Process("asgi", "bare") as worker:
        rows = worker.ask("pages", fill=fill, scrapes=1)
    assert [row["gzip"] for row in rows] == [False, True]
    assert {row[whose]["samples"] for row in rows for whose in ("ours", "theirs")} == {43_216}


def test_many_routes_are_measured_in_three_processes_that_hash_differently(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds = []

    class Seen(Process):
        def __init__(self, *args: Any, seed: int, **given: Any) -> None:
            seeds.append(seed)
            super().__init__(*args, seed=seed, **given)

    monkeypatch.setattr(request_cost, "Process", Seen)
    for routes in (1, 2):
        with ExitStack() as stack:
            request_cost._ready(stack, Case("asgi", routes, "item", "drop", "bare"), "", None)
    assert seeds == [0, 0, 1, 2]


def test_a_worker_that_ends_says_why() -> None:
    with (
        Process("asgi", "bare") as worker,
        pytest.raises(WorkerFailed, match=r"asgi bare: (?s:.*)KeyError: 'sing'"),
    ):
        worker.ask("sing")


def test_a_connection_that_waits_counts_for_the_requests_that_it_has_not_made() -> None:
    assert steady.corrected([1.0, 1.9], 1.0) == [1.0, 1.9]
    assert steady.corrected([1.0, 4.5], 1.0) == [1.0, 4.5, 3.5, 2.5, 1.5]
    assert steady.percentile([*range(100, 0, -1)], 0.99) == 100
    assert steady.percentile([*range(200)], 0.99) == 198


@pytest.mark.parametrize(
    ("shares", "used"),
    [([1.0, 0.97], 2), ([0.5, 1.0, 1.0, 0.9, 1.0, 0.95], 6), ([0.5, 1.0] * 4, 8)],
)
def test_runs_that_others_have_disturbed_are_repeated(
    shares: list[float], used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [{"rps": 1000 * share, "cpu_us": 1000.0, "p99_ms": number} for number, share in enumerate(shares)]
    left = iter(runs)

    class Scraper(nullcontext[Any]):
        count = 3

        def __init__(self, *_: Any) -> None:
            super().__init__(self)

    class Server:
        port = 0

    monkeypatch.setattr(end_to_end, "Scraper", Scraper)
    monkeypatch.setattr(steady, "load", lambda server, **_: next(left))
    got = end_to_end._undisturbed(Server(), "/metrics", 1.0)  # type: ignore[arg-type]
    assert got == {"quiet": runs[used - 2], "scraped": runs[used - 1], "scrapes": 3}
    assert len([*left]) == len(shares) - used


class Served:
    """How many requests a server was sent; as a clock it counts a millisecond for each."""

    def __init__(self) -> None:
        self.count = 0

    def perf_counter(self) -> float:
        return self.count / 1000


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Have the client's clock run by the requests, so that none stands still while it runs."""
    made = Served()
    monkeypatch.setattr(steady, "time", made)
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="it polls with epoll")
def test_the_clock_runs_once_all_connections_were_served(requested: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        served = threads.submit(_serve, listening, requested, 32)
        connections = steady.Connections(listening.getsockname()[1])
        taken = connections.run(0.05)
        waiting = connections.waiting()
        connections.close()
        served.result()
    requests = requested.count
    assert taken
    assert len(waiting) == 32
    assert 32 + len(taken) <= requests <= 64 + len(taken)


@pytest.mark.skipif(sys.platform != "linux", reason="it polls with epoll")
def test_a_connection_that_the_server_closes_is_opened_again_and_waits_on(requested: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as threads:
        served = threads.submit(_serve, listening, requested, 33, closing_at=40)
        connections = steady.Connections(listening.getsockname()[1])
        taken = connections.run(0.2)
        waiting = connections.waiting()
        connections.close()
        served.result()
    assert len(taken) > 40
    assert len(waiting) == 32


def _serve(listening: socket.socket, requested: Served, count: int, closing_at: int = 0) -> None:
    """Answer the first request of each connection before the next one is taken in; count them."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        selector.register(listening, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                if key.fileobj is listening:
                    one, _ = listening.accept()
                    selector.register(stack.enter_context(one), selectors.EVENT_READ)
                    count -= 1
                    if not count:
                        selector.unregister(listening)
                    continue
                one = cast(socket.socket, key.fileobj)
                with suppress(OSError):
                    if one.recv(65536):
                        requested.count += 1
                        if requested.count != closing_at:
                            one.sendall(answer)
                            continue
                selector.unregister(one)
                one.close()


def test_a_service_is_measured_with_the_library_and_without(capsys: pytest.CaptureFixture[str]) -> None:
    """It takes seconds because it starts two servers."""
    zerostate.main(["--rounds", "2", "--seconds", "0.2"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].removeprefix("| ") for row in rows] == [
        "CPU of a core at 100 requests/s, without, %",
        "CPU of a core at 100 requests/s, with, %",
        "added by the library, %",
        "memory that it adds, MB",
        "a readiness probe, ms",
    ]
    assert all(float(row[1]) > 0 for row in rows[:2])
