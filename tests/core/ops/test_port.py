"""The ops port answers our paths in a thread, whatever the app's own threads do."""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest

from obs_middleware import Observer
from obs_middleware.ops.port import _CONNECTIONS, _is_ours
from tests.core.ops.asking import TOKEN
from tests.core.support import caught, eventually, observer
from tests.running import free_port


@pytest.fixture(autouse=True)
def _requests_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client send its request, and take the answer, later than in production, because a busy machine is late."""
    monkeypatch.setattr("obs_middleware.ops.port._RECEIVE_SECONDS", 60.0)
    monkeypatch.setattr("obs_middleware.ops.port._Handler.timeout", 60)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def own(port: int) -> Iterator[Observer]:
    made = observer(ops_port=port, metrics_token=TOKEN)
    yield made
    made.gateway._ops_port.stop()  # type: ignore[union-attr]


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    for _ in range(1000):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except ConnectionRefusedError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise TimeoutError


def test_port_answers_in_place_of_the_apps(own: Observer, port: int) -> None:
    assert own.gateway.paths == frozenset()
    assert own.settings.own_paths == {}
    own.gateway.started(is_serving=False)  # no request has come yet
    status, body = ask(port, "/health/live?x=1")
    assert (status, json.loads(body)) == (200, {"status": "pass"})
    assert ask(port, "/metrics")[0] == 401
    status, body = ask(port, "/metrics", Authorization=f"Bearer {TOKEN}")
    assert (status, b"http_server" in body) == (200, True)
    assert ask(port, "/health/live", "HEAD") == (200, b"")
    assert ask(port, "/health/live", "POST")[0] == 405
    assert ask(port, "/items/7")[0] == 404


def test_port_that_somebody_else_has_is_told_once(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), caught("obs") as output:
        own = observer(ops_port=port)
        own.gateway.started()
        eventually(lambda: output.lines)
        own.gateway._ops_port.stop()  # type: ignore[union-attr]
    assert output.lines[0].startswith(
        f"obs-middleware: probes and metrics are not answered: ops_port 127.0.0.1:{port} "
    )


def test_port_that_another_worker_has_is_not_told(own: Observer, port: int) -> None:
    own.gateway.started()
    assert ask(port, "/health/live")[0] == 200
    eventually(lambda: _is_ours(("0.0.0.0", port)))


@pytest.fixture
def unguarded(port: int) -> Iterator[Observer]:
    made = observer(ops_port=port)
    made.gateway.started()
    yield made
    made.gateway._ops_port.stop()  # type: ignore[union-attr]


def test_port_is_closed_to_what_came_through_a_proxy(unguarded: Observer, port: int) -> None:
    assert ask(port, "/metrics")[0] == 200
    for name in ("X-Forwarded-For", "X-Forwarded-Anything", "FORWARDED", "Via", "x-real-ip"):
        assert ask(port, "/metrics", **{name: "198.51.100.7"})[0] == 403


def test_body_of_a_request_is_not_looked_at(unguarded: Observer, port: int) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "message/rfc822"):
        headers = {"Content-Type": kind, "Content-Transfer-Encoding": "base64"}
        assert ask(port, "/health/live", **headers)[0] == 200


@pytest.mark.parametrize("line", [b"no colon", b"X-A : 1", b": 1", b"X-A: 1\rno colon", b" X-A: 1"])
def test_request_whose_headers_cannot_all_be_read_is_refused(
    unguarded: Observer, port: int, line: bytes
) -> None:
    """Else a client that sends such a line would hide what a proxy adds below it."""
    assert ask(port, "/metrics")[0] == 200
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n" + line + b"\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.readline().split()[1] == b"400"


def test_connections_are_few(own: Observer, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obs_middleware.ops.port._CONNECTIONS", 0)
    own.gateway.started()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(port, "/health/live")


def test_thread_that_is_not_to_be_had_costs_one_answer(
    own: Observer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.gateway.started()
    assert ask(port, "/health/live")[0] == 200
    with monkeypatch.context() as few:
        few.setattr("obs_middleware.ops.port.ThreadingMixIn.process_request", refuse)
        for _ in range(_CONNECTIONS + 1):
            with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
                ask(port, "/health/live")
    assert ask(port, "/health/live")[0] == 200


def refuse(*args: object) -> None:
    raise RuntimeError("can't start new thread")


def test_client_that_sends_slowly_is_hung_up_on(
    own: Observer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.gateway.started()
    assert ask(port, "/health/live")[0] == 200
    begun = b"GET /health/live HTTP/1.1\r\nX-A: "
    for seconds, sent in ((0.15, b"GET /health"), (0.15, begun), (0, begun)):
        monkeypatch.setattr("obs_middleware.ops.port._RECEIVE_SECONDS", seconds)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as slow, suppress(ConnectionError):
            slow.sendall(sent)
            eventually(lambda slow=slow: is_over(slow) or slow.sendall(b"a"), within_seconds=25)  # type: ignore[misc]


def is_over(connection: socket.socket) -> bool:
    """Wait a moment for an end of the connection."""
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


@pytest.mark.once
def test_port_waits_where_no_connection_can_be_accepted(
    own: Observer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that does not wait would try again all the time."""
    own.gateway.started()
    assert ask(port, "/health/live")[0] == 200
    tries: list[None] = []
    pauses: list[float] = []
    goes_on = threading.Event()

    def none_left(server: object) -> None:
        tries.append(None)
        raise OSError(errno.EMFILE, "Too many open files")

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        goes_on.wait(60)

    with monkeypatch.context() as few:
        few.setattr("obs_middleware.ops.port.HTTPServer.get_request", none_left)
        few.setattr("obs_middleware.ops.port.time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
        with socket.create_connection(("127.0.0.1", port)):
            eventually(lambda: pauses)
            assert (len(tries), pauses) == (1, [0.25])
    goes_on.set()
    assert ask(port, "/health/live")[0] == 200


@pytest.mark.once
def test_next_process_takes_the_port_over(own: Observer, port: int) -> None:
    """It takes over a second, after which a taken port is asked for again."""
    with socket.create_server(("127.0.0.1", port)):
        own.gateway.started()
        time.sleep(0.2)
    assert ask(port, "/health/live")[0] == 200


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_process_that_forks_workers_leaves_the_port_to_them(own: Observer, port: int) -> None:
    """It takes a second, because the port passes on from process to process."""
    own.gateway.started(is_serving=False)
    assert ask(port, "/health/live")[0] == 200
    child = os.fork()
    if not child:
        time.sleep(100)
        os._exit(0)
    try:
        run = own.gateway._ops_port._run  # type: ignore[union-attr]
        assert run is not None
        assert run.is_over
        eventually(lambda: run._server is not None and run._server.fileno() == -1)  # it is closed here
        eventually(lambda: is_answered(port))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def is_answered(port: int) -> bool:
    """Ask a port that a process may be about to close."""
    try:
        return ask(port, "/health/live")[0] == 200
    except ConnectionError:
        return False
