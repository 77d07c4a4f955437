"""A pod through its life, with the kubelet's rules: slow start, outage, recovery, hang, termination.

It takes some seconds, because a container starts twice, and a hung one is killed after its grace period.
"""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import installed, running
from tests.installed import ROOT
from tests.real.kubelet import HASTY, Kubelet, wait_for


@pytest.mark.once
def test_a_pod_is_restarted_taken_out_and_ended_as_it_should_be(tmp_path: Path) -> None:
    port = running.free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "tests.real.kubelet_app:app"]
    env = installed.clean() | {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
        "FOLDER": str(tmp_path),
        "OBS_DRAIN_SECONDS": "5",  # also a client that stands still for seconds learns of it in time
        "OBS_ACCESS_LOG": "false",
    }
    (tmp_path / "database").touch()
    with Kubelet(command, port=port, env=env, log=tmp_path / "log") as pod:
        # Slow start
        wait_for(lambda: "running" in (tmp_path / "log").read_text())
        time.sleep(0.5)
        assert pod.events == []
        (tmp_path / "model").touch()
        wait_for(lambda: pod.is_ready)
        assert pod.events == ["started", "ready"]

        # Outage and recovery: nobody restarts a process whose database is down
        (tmp_path / "database").unlink()
        wait_for(lambda: not pod.is_ready)
        time.sleep(0.5)
        (tmp_path / "database").touch()
        wait_for(lambda: pod.is_ready)
        assert pod.events[2:] == ["not ready", "ready"]

        # Hang: the loop is stuck, and ends by SIGKILL alone
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET /hang HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            wait_for((tmp_path / "hangs").exists)
            pod.limits = HASTY
            wait_for(lambda: "restarted" in pod.events)
        wait_for(lambda: pod.is_ready)
        assert pod.events[4:] == ["not ready", "killed", "restarted", "started", "ready"]

        # Termination, under load by a client that obeys readiness
        failed: list[Exception] = []
        client = threading.Thread(target=send_while_ready, args=(pod, port, failed))
        client.start()
        pod.end_pod()
        client.join()
        assert pod.events[9:] == ["not ready"]
        assert failed == []


def send_while_ready(pod: Kubelet, port: int, failed: list[Exception]) -> None:
    while pod.is_ready:
        try:
            assert get(port, "/") == 200
        except Exception as error:
            failed.append(error)
        time.sleep(0.01)


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
