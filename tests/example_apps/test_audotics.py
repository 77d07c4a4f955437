"""audotics alone, as its listeners and its operator see it."""

import json
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest

from example_apps.audotics.tracing import trace
from example_apps.demo import pages
from example_apps.demo.processes import Running
from example_apps.demo.waiting import until
from tests.example_apps.collector import Collector

SECONDS = 60.0


@pytest.fixture
def audotics(alone: dict[str, Running]) -> Running:
    return alone["audotics"]


def play(audotics: Running, song_id: int, listener_id: str) -> None:
    told = {"song_id": song_id, "listener_id": listener_id}
    answer = httpx.post(f"{audotics.url}/plays", json=told, trust_env=False, timeout=60.0)
    assert answer.status_code == 201


def songs(audotics: Running, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = audotics.get(path).json()["songs"]
    return found


def metric(audotics: Running, name: str, **labels: str) -> float:
    return pages.total(pages.read(audotics), name, **labels)


def test_what_was_played_is_not_recommended(audotics: Running) -> None:
    for song_id in (1, 2):
        play(audotics, song_id, "ann")
    found = songs(audotics, "/recommendations/ann?limit=9")
    assert {song["id"] for song in found} == {3, 4, 5, 6}


def test_songs_that_the_same_listeners_have_played_are_alike(audotics: Running) -> None:
    for number in range(4):
        play(audotics, 5, f"both-{number}")
        play(audotics, 6, f"both-{number}")
    play(audotics, 5, "only-five")
    first, *others = songs(audotics, "/songs/5/similar?limit=9")
    assert (first["id"], first["score"]) == (6, round(4 / (5 * 4) ** 0.5, 4))
    assert all(song["score"] < first["score"] for song in others)
    assert songs(audotics, "/recommendations/only-five")[0]["id"] == 6
    assert audotics.get("/songs/99/similar").status_code == 404


def test_plays_and_the_listeners_of_the_last_minutes_are_counted(audotics: Running) -> None:
    before = metric(audotics, "song_plays_total")
    play(audotics, 3, "bob")
    page = pages.read(audotics)
    assert pages.total(page, "song_plays_total") == before + 1
    assert pages.total(page, "active_users") >= 1
    assert pages.label_values(page, "song_plays_total", "environment") == {"development"}
    assert pages.label_values(page, "active_users", "service") == {"audotics"}
    assert all(pages.label_values(page, "song_plays_total", label) for label in ("version", "instance"))


def test_two_workers_count_as_one(audotics: Running) -> None:
    before = metric(audotics, "song_plays_total")
    for number in range(12):
        play(audotics, 4, f"crowd-{number}")
    seen = [metric(audotics, "song_plays_total") - before for _ in range(4)]
    assert seen == [12] * 4

    def workers() -> set[str]:
        return pages.label_values(pages.read(audotics), "process_start_time_seconds", "worker")

    assert until(workers, {"1", "2"}.__eq__, SECONDS) == {"1", "2"}


def test_the_classic_names_stand_beside_the_new_ones(audotics: Running) -> None:
    for path in ("/recommendations/cleo?limit=2", "/songs/99"):
        audotics.get(path)
    route = {"method": "GET", "path": "/recommendations/<listener_id>"}

    def counted(page: str) -> list[float]:
        return [
            pages.total(page, "http_requests_total", status="200", **route),
            pages.total(page, "http_requests_total", path="/songs/<int:song_id>", status="404"),
        ]

    # Clients have their answers before requests are over.
    page = until(lambda: pages.read(audotics), lambda page: all(counted(page)), SECONDS)
    well, missing = counted(page)
    assert well >= 1
    assert missing == 1
    assert pages.total(page, "http_request_duration_seconds_count", **route) >= 1
    assert pages.route(page, "GET", route["path"]).count >= 1
    made = pages.total(page, "recommendation_generation_duration_seconds_count")
    assert 2 <= pages.total(page, "recommendations_generated_total") <= made * 9


def test_it_recommends_also_without_zerostate_and_counts_that(audotics: Running) -> None:
    before = metric(audotics, "recommendation_errors_total")
    assert len(songs(audotics, "/recommendations/dora")) == 3
    assert metric(audotics, "recommendation_errors_total") == before + 1


def test_metrics_are_pushed_to_a_pushgateway(audotics: Running, pushgateway: str) -> None:
    if not pushgateway:
        pytest.skip("no prometheus-pushgateway here (scripts/fetch-debian-testing)")
    audotics.get("/songs/1")
    page = until(
        lambda: httpx.get(f"{pushgateway}/metrics", trust_env=False, timeout=60.0).text,
        lambda found: bool(pages.label_values(found, "song_plays_total", "job")),
        SECONDS,
    )
    assert pages.label_values(page, "song_plays_total", "job") == {"audotics"}


def test_a_response_names_its_trace_and_the_caller_decides_whether_it_is_kept(
    audotics: Running, collector: Collector
) -> None:
    """Of new traces none is kept, because the ratio is 0 here."""
    kept, dropped = uuid4().hex, uuid4().hex
    for trace_id, flags in ((dropped, "00"), (kept, "01")):
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-{flags}"}
        answer = httpx.get(f"{audotics.url}/songs/1", headers=headers, trust_env=False, timeout=60.0)
        assert answer.headers["X-Trace-Id"] == trace_id
    new = audotics.get("/songs/2").headers["X-Trace-Id"]
    assert until(lambda: collector.of(kept), bool, SECONDS)
    assert collector.of(dropped) == collector.of(new) == []


def test_a_function_that_raises_is_an_error_with_its_exception_on_its_span(
    audotics: Running, collector: Collector
) -> None:
    trace_id = uuid4().hex
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    httpx.get(f"{audotics.url}/recommendations/eve", headers=headers, trust_env=False, timeout=60.0)
    way = ["GET /recommendations/<listener_id>", "recommendations.rank"]
    assert until(lambda: collector.way_to(trace_id, way[-1]), way.__eq__, SECONDS) == way
    spans = {span.name: span for span in collector.of(trace_id)}
    assert (spans["recommendations.rank"].is_error, spans["recommendations.rank"].events) == (
        True,
        ("exception",),
    )
    assert not spans["recommendations.score"].is_error


def test_trace_gives_what_the_function_gives_and_raises_what_it_raises() -> None:
    assert trace("add", lambda: 1 + 2, numbers=2) == 3
    with pytest.raises(ZeroDivisionError):
        trace("divide", lambda: 1 / 0)


def test_lines_go_to_files_that_are_rotated(audotics: Running) -> None:
    folder = audotics.directory / "lines"

    def has_rotated() -> bool:
        audotics.get("/songs/3")
        return any(folder.glob("audotics-*.jsonl.1"))

    def texts() -> list[str]:
        """Read all files, anew while one is being rotated."""
        while True:
            with suppress(FileNotFoundError):
                return [path.read_text() for path in folder.iterdir()]

    def written() -> set[tuple[str, str]]:
        lines = [json.loads(line) for text in texts() for line in text.splitlines()]
        access = [line for line in lines if line["logger"] == "obs.access" and line["path"] == "/songs/3"]
        return {(line["service"], line["route"]) for line in access}

    assert until(has_rotated, bool, SECONDS)
    assert until(written, bool, SECONDS) == {("audotics", "/songs/<int:song_id>")}  # a line waits for others
    assert max(len(text.encode()) for text in texts()) <= 10_000
