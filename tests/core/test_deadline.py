"""The end of an app and of a process takes five seconds at most, whatever the collector does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from obs_middleware.deadline import Deadline
from tests.core.support import ROOT

STOPPED = """
import http.server, json, os, socket, sys, threading, time
from obs_middleware import Observer, RequestInfo, Settings, deadline, gateway, hand_over
from obs_middleware.tracing import provider
gateway.STOP_SECONDS = hand_over.STOP_SECONDS = provider.STOP_SECONDS = 0.3
asked = []

class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        if {status} == 0:
            time.sleep(600)
        self.send_response({status})
        self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{{server.server_port}}"
os.environ["HTTP_PROXY" if {is_proxy} else "OTEL_EXPORTER_OTLP_ENDPOINT"] = url
os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318")
own = Observer(Settings.load(log_setup=False, access_log=False, trace_sample_ratio=1.0))
own.gateway.set_up()
exchange = own.gateway.start(RequestInfo("GET", "/", "", "http", {{}}.get))
exchange.status = 200
exchange.finish()
if {is_closed}:
    began = time.monotonic()
    own.close()
    print("closed", time.monotonic() - began, flush=True)
ended = time.time()
print(json.dumps(ended), flush=True)
"""


@pytest.mark.parametrize(
    ("status", "is_closed", "is_proxy"),
    [
        (0, True, False),
        (0, False, False),
        (503, True, False),
        (429, False, False),
        (0, True, True),
        (0, False, True),
    ],
    ids=[
        "hangs",
        "hangs, and nobody closes",
        "503",
        "429, and nobody closes",
        "SDK's exporter hangs",
        "and nobody closes",
    ],
)
def test_stop_does_not_wait_for_the_collector(status: int, is_closed: bool, is_proxy: bool) -> None:
    code = STOPPED.format(status=status, is_closed=is_closed, is_proxy=is_proxy)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OBS_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **clean,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
            "NO_PROXY": "",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "600000",  # so long exporters would wait
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    *closed, ended = done.stdout.split()
    assert time.time() - float(ended) < 25  # 0.3 s, and a machine that is busy
    assert not closed or float(closed[1]) < 25


def test_function_that_ends_in_time_has_ended() -> None:
    seen: list[str] = []
    limit = Deadline()
    assert limit.within(60, lambda: seen.append(threading.current_thread().name))
    assert (seen, limit.was_missed) == (["obs-stop"], False)


def test_function_that_hangs_is_left_behind() -> None:
    limit, let_go = Deadline(), threading.Event()
    began = time.monotonic()
    assert not limit.within(0.01, lambda: let_go.wait(60))
    assert (time.monotonic() - began < 25, limit.was_missed) == (True, True)
    let_go.set()


def test_where_no_thread_is_to_be_had_the_function_is_called_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    limit, seen = Deadline(), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert limit.within(60, lambda: seen.append(threading.current_thread() is threading.main_thread()))
    assert seen == [True]


def test_thread_that_is_held_is_used_where_none_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    limit, seen = Deadline(), []
    limit.hold_thread()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert limit.within(60, lambda: seen.append(threading.current_thread().name))
    assert seen == ["obs-exit"]
