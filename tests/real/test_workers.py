"""Several workers of real servers: whichever is scraped answers for all, also for those that were killed.

Each test takes seconds, because it starts two workers or more.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import installed, running
from tests.core.support import eventually
from tests.installed import ROOT
from tests.running import Server

ASGI, WSGI = "tests.real.counting_app:asgi", "tests.real.counting_app:wsgi"
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2"]
UWSGI = ["uwsgi", "--http-socket", "127.0.0.1:{port}", "--need-app", "--die-on-term", "--processes", "2"]
SERVERS = {
    "gunicorn sync": [*GUNICORN, WSGI],
    "gunicorn gthread": [*GUNICORN, "--threads", "4", WSGI],
    "gunicorn gevent": [*GUNICORN, "--worker-class", "gevent", WSGI],
    "gunicorn preload": [*GUNICORN, "--preload", WSGI],
    "gunicorn uvicorn": [*GUNICORN, "--worker-class", "uvicorn.workers.UvicornWorker", ASGI],
    "uvicorn": [
        *("uvicorn", "--port", "{port}", "--workers", "2"),
        *("--timeout-worker-healthcheck", "60"),  # a busy machine's worker is not replaced
        ASGI,
    ],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "--workers", "2", ASGI],
    "granian": ["granian", "--port", "{port}", "--workers", "2", "--interface", "asgi", ASGI],
    "uwsgi": [*UWSGI, "--master", "--enable-threads", "--module", WSGI, "--home", sys.prefix],
    "uwsgi without threads": [*UWSGI, "--master", "--module", WSGI, "--home", sys.prefix],
}
FORKED_LATE = ("gunicorn preload", "uwsgi", "uwsgi without threads")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PAID = 'orders_total{status="paid"}'
DURATIONS = "http_server_request_duration_seconds_count"
_ROUNDS = 8  # in each a worker is killed


@contextlib.contextmanager
def serving(name: str, folder: Path, *options: str, **settings: str) -> Iterator[Server]:
    program, *arguments = SERVERS[name]
    env = installed.clean() | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
        "OBS_METRICS_DIRECTORY": str(folder),
        "PYTHONWARNINGS": "ignore",
        **settings,
    }
    if program == "uwsgi":
        found = shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if found is None:
            pytest.skip("no uwsgi here: pip install uwsgi")
        command = [found, *arguments, *options]
    else:
        pytest.importorskip(program)
        if "gevent" in arguments:  # has no wheels yet for the newest Python
            pytest.importorskip("gevent")
        more = running.gunicorn_options() if program == "gunicorn" else []
        command = [sys.executable, "-m", program, *arguments, *more, *options]
    with running.serve(command, folder=folder, env=env) as server:
        yield server


def ask(server: Server, count: int) -> dict[int, int]:
    """Send requests over connections of their own until two workers have answered; return how many each has."""
    answers: dict[int, int] = {}
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda _: server.get("/orders"), range(count)):
            worker = int(answer.body)
            answers[worker] = answers.get(worker, 0) + 1
    return answers


def ask_two(server: Server) -> tuple[int, set[int]]:
    """Ask until two workers have counted; return how many requests that took, and the workers."""
    workers: set[int] = set()
    count = 0
    deadline = time.monotonic() + 60
    while len(workers) < 2:
        assert time.monotonic() < deadline, f"one worker alone answers: {workers}"
        answers = ask(server, 20)
        workers |= answers.keys()
        count += 20
    return count, workers


def numbers(server: Server, accept: str = "") -> dict[str, float]:
    page = server.get("/metrics", Accept=accept).body.decode()
    lines = [line.partition(" # ")[0] for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def whole(server: Server, count: int) -> dict[str, float]:
    """Return a page once it has so many requests: a client has its answer before the request is over."""
    eventually(lambda: requests(numbers(server)) == count)
    return numbers(server)


def requests(found: dict[str, float]) -> float:
    return sum(value for name, value in found.items() if name.startswith(DURATIONS))


@pytest.mark.parametrize(
    "name",
    [name if name == "gunicorn sync" else pytest.param(name, marks=pytest.mark.once) for name in SERVERS],
)
def test_whichever_worker_is_scraped_answers_for_all(name: str, tmp_path: Path) -> None:
    """The user's own metrics, our HTTP metrics, exemplars, and process metrics for each worker."""
    with serving(name, tmp_path) as server:
        count, _ = ask_two(server)
        whole(server, count)
        for _ in range(4):  # several of them
            found = numbers(server)
            assert found[PAID] == count, server.stderr
            assert requests(found) == count
            assert found["depth"] == 2
            assert (
                found["shop_latency_seconds_count"] == found['shop_latency_seconds_bucket{le="1.0"}'] == count
            )
            # At its import: by each worker, or once before they were forked.
            assert found['orders_total{status="imported"}'] == (1 if name in FORKED_LATE else 2)
        both = {f'process_resident_memory_bytes{{worker="{one}"}}' for one in (1, 2)}
        eventually(lambda: both <= numbers(server).keys())  # one that is late is left out
        page = server.get("/metrics", Accept=OPENMETRICS).body.decode()
        assert f'{PAID} {count}.0 # {{trace_id="0af7651916cd43dd8448eb211c80319c"}} 1.0' in page
        assert page.endswith("# EOF\n")


@pytest.mark.once
def test_a_killed_worker_leaves_what_it_has_counted(tmp_path: Path) -> None:
    with serving("gunicorn sync", tmp_path) as server:
        count, workers = ask_two(server)
        assert whole(server, count)[PAID] == count
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        eventually(lambda: len(ask_again(server).keys() - workers) > 0)
        before = numbers(server)[PAID]
        assert before >= count
        more, _ = ask_two(server)
        assert numbers(server)[PAID] == before + more
        eventually(lambda: requests(numbers(server)) == before + more)


def ask_again(server: Server) -> dict[int, int]:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return ask(server, 1)
    return {}


@pytest.mark.once
def test_numbers_never_go_back_while_workers_are_recycled_and_killed(tmp_path: Path) -> None:
    """Under load: every answer that a client got was counted, and no page has less than the one before."""
    with serving("gunicorn gthread", tmp_path, "--max-requests", "25") as server:
        answered, last, highest_files = 0, 0.0, 0
        for _ in range(_ROUNDS):
            with ThreadPoolExecutor(8) as pool:
                results = list(pool.map(lambda _: ask_again(server), range(40)))
            answered += sum(map(bool, results))
            victim = next(worker for result in results for worker in result)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            found = {}
            with contextlib.suppress(OSError, http.client.HTTPException):
                found = numbers(server)
            assert found.get(PAID, last) >= last
            last = found.get(PAID, last)
            highest_files = max(highest_files, len(list(tmp_path.rglob("w*.cells"))))
        eventually(lambda: bool(ask_again(server)))
        found = numbers(server)
        assert answered <= found[PAID] <= _ROUNDS * 40 + 100
        assert highest_files < 10


@pytest.mark.once
def test_two_services_of_one_shell_never_mix(tmp_path: Path) -> None:
    with serving("gunicorn sync", tmp_path) as one:
        count, _ = ask_two(one)
        other_folder = tmp_path / "other"
        other_folder.mkdir()
        with serving("gunicorn sync", other_folder, OBS_METRICS_DIRECTORY=str(tmp_path)) as other:
            assert PAID not in numbers(other)
            ask_two(other)
            assert numbers(one)[PAID] == count


def test_a_process_that_is_alone_writes_no_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "--port", "{port}", ASGI]
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "OBS_METRICS_DIRECTORY": str(tmp_path / "none")}
    with running.serve(command, folder=tmp_path, env=installed.clean() | env) as server:
        ask(server, 5)
        found = numbers(server)
        assert found[PAID] == 5
        assert "process_resident_memory_bytes" in found
        assert not (tmp_path / "none").exists()


@pytest.mark.once
def test_prometheus_clients_own_mode_stays_where_the_user_has_set_it(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with serving("gunicorn sync", tmp_path, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "theirs")) as server:
        ask_two(server)
        assert list((tmp_path / "theirs").glob("counter_*.db"))
        assert not list(tmp_path.glob("obs-*"))
