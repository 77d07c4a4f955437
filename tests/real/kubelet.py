"""What the kubelet does with one container, at a quick pace: probes, restarts, and the end of the pod.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes
"""

from __future__ import annotations

import http.client
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PERIOD_SECONDS = 0.1
PATIENT, HASTY = (30.0, 60.0), (0.5, 1.0)  # seconds: that a probe may take, and the grace period
STARTUP_FAILURES, LIVE_FAILURES, READY_FAILURES = 1200, 3, 2


class Kubelet:
    """Keeps a container running from `with` on, until its end is asked for.

    Attributes:
        events: what a user would read in `kubectl describe pod`, in its order.
        is_ready: whether requests are sent to the pod.
        limits: how long a probe may take, and the grace period; each container begins with patient ones.
    """

    def __init__(self, command: list[str], *, port: int, env: Mapping[str, str], log: Path) -> None:
        self._command, self._port, self._env, self._log = command, port, dict(env), log
        self._is_ending = threading.Event()
        self.events: list[str] = []
        self.is_ready = False

    def __enter__(self) -> Kubelet:
        self._start()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending.set()
        self._thread.join()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def end_pod(self) -> None:
        """Ask for the end; requests are sent on meanwhile, until the pod is not ready."""
        self._is_ending.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._is_ending.is_set():
            if not self._runs_until_live_fails():
                self._terminate()
                self.events.append("restarted")
                self._start()
        self._terminate()

    def _start(self) -> None:
        self.limits = PATIENT
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)

    def _runs_until_live_fails(self) -> bool:
        """Probe; tell whether the pod's end was asked for, and not a restart."""
        failures = 0
        while not self._probe("startup"):
            failures += 1
            if self._is_ending.wait(PERIOD_SECONDS) or failures == STARTUP_FAILURES:
                return failures < STARTUP_FAILURES
        self.events.append("started")
        live_failures = ready_failures = 0
        while not self._is_ending.wait(PERIOD_SECONDS):
            live_failures = 0 if self._probe("live") else live_failures + 1
            ready_failures = self._note_ready(ready_failures)
            if live_failures == LIVE_FAILURES:
                return False
        return True

    def _note_ready(self, failures: int) -> int:
        failures = 0 if self._probe("ready") else failures + 1
        is_ready = failures == 0 or (self.is_ready and failures < READY_FAILURES)
        if is_ready != self.is_ready:
            self.is_ready = is_ready
            self.events.append("ready" if is_ready else "not ready")
        return failures

    def _terminate(self) -> None:
        """End the container: SIGTERM, readiness is probed on, and SIGKILL after the grace period."""
        self._process.send_signal(signal.SIGTERM)
        end = time.monotonic() + self.limits[1]
        failures = 0
        while self._process.poll() is None:
            failures = self._note_ready(failures)
            if time.monotonic() > end:
                self._process.kill()
                self._process.wait()
                self.events.append("killed")
            time.sleep(PERIOD_SECONDS)
        if self.is_ready:
            self.is_ready = False
            self.events.append("gone while it was ready")

    def _probe(self, name: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENT[0])
        began = time.monotonic()
        try:
            connection.request("GET", f"/health/{name}", headers={"User-Agent": "kube-probe/1.34"})
            while not select.select([connection.sock], [], [], 0.05)[0]:
                if time.monotonic() > began + self.limits[0]:
                    return False
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def wait_for(is_true: Callable[[], Any], *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)
