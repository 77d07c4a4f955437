"""The peer network: each worker of zerostate is a peer, and sends the others datagrams of JSON over the loopback.

A peer has a file in PEERS_FOLDER, named as its port, where newcomers find the first ones; they learn of all others by
gossip. A peer that is silent has failed. One whose file is gone has left. One that has no file is refused.
"""

import atexit
import json
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep, time

from django.conf import settings

from example_apps.zerostate import telemetry
from obs_django import events, metrics

GOSSIP_SECONDS = 0.5  # between two rounds
FAILED_SECONDS = 2.0  # of silence; a request that is not answered for so long is an error
ACTIVE_SECONDS = 5.0  # after a request to all, connections are idle again
FORGOTTEN_SECONDS = 600.0  # without a sign of life of its file


class Peer:
    """This process in the network: one socket, a thread that gossips and one that receives."""

    def __init__(self, folder: Path) -> None:
        self.port = 0  # none: it has not joined
        self.states: dict[int, str] = {}  # of the others, by port: discovered, connected or failed
        self._since: dict[int, float] = {}  # when one was heard last, or found
        self._told_at = float("-inf")
        self._asked: dict[tuple[int, str], float] = {}  # requests that wait for their response
        self._folder = folder

    def start(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._folder / str(self.port)
        self._file.touch()
        atexit.register(self._file.unlink, missing_ok=True)
        self._learn(int(file.name) for file in self._folder.iterdir())
        for loop in (self._gossip, self._receive):
            Thread(target=loop, daemon=True).start()

    def tell(self, subject: str) -> None:
        """Send a request to each peer that answers; nobody waits for the responses."""
        self._told_at = monotonic()
        for port, state in list(self.states.items()):
            if state == "connected":
                self._asked[port, subject] = monotonic()
                self._send(port, kind="request", subject=subject)

    def _gossip(self) -> None:
        while True:
            for port in list(self.states):
                self._send(port, kind="gossip", known=list(self.states))
                self._judge(port)
            for (port, subject), asked_at in list(self._asked.items()):
                if monotonic() - asked_at > FAILED_SECONDS:
                    self._answered(port, subject, "error")
            self._show(list(self.states.values()))
            with suppress(OSError):  # it is gone once the process ends
                os.utime(self._file)
            sleep(GOSSIP_SECONDS)

    def _judge(self, port: int) -> None:
        has_failed = monotonic() - self._since[port] > FAILED_SECONDS
        telemetry.P2P_MESSAGES.labels("gossip", "error" if has_failed else "success").inc()
        if has_failed and self.states[port] != "failed":
            self.states[port] = "failed"
            events.record("peer_failed", labels={"peer": port})
        if not self._has_file(port):
            del self.states[port]

    def _show(self, states: list[str]) -> None:
        for state in ("connected", "discovered", "failed"):
            telemetry.P2P_PEERS.labels(state).set(states.count(state))
        is_active = monotonic() - self._told_at < ACTIVE_SECONDS
        telemetry.P2P_CONNECTIONS.labels("active").set(is_active * states.count("connected"))
        telemetry.P2P_CONNECTIONS.labels("idle").set((not is_active) * states.count("connected"))

    def _receive(self) -> None:
        while True:
            line, (_, port) = self._socket.recvfrom(65_536)
            telemetry.P2P_BANDWIDTH.labels("rx").inc(len(line))
            try:
                with metrics.timed(telemetry.P2P_DURATION.labels("receive")):
                    self._handle(port, **json.loads(line))
            except Exception as error:  # anybody may send here: nothing may end this thread
                events.record("peer_message_refused", labels={"security": True, "why": str(error)})

    def _handle(self, port: int, kind: str, known: Iterable[int] = (), subject: str = "") -> None:
        self._learn([port, *known])
        if self.states[port] == "discovered":
            telemetry.P2P_DURATION.labels("connect").observe(monotonic() - self._since[port])
        self.states[port], self._since[port] = "connected", monotonic()
        if kind == "response":
            self._answered(port, subject, "success")
        elif kind == "request":
            self._send(port, kind="response", subject=subject)
            telemetry.P2P_MESSAGES.labels("response", "success").inc()

    def _answered(self, port: int, subject: str, status: str) -> None:
        if self._asked.pop((port, subject), None):
            telemetry.P2P_MESSAGES.labels("request", status).inc()

    def _learn(self, ports: Iterable[int]) -> None:
        for port in ports:
            if isinstance(port, int) and port not in (self.port, *self.states) and self._has_file(port):
                self._since[port], self.states[port] = monotonic(), "discovered"

    def _send(self, port: int, **message: object) -> None:
        with metrics.timed(telemetry.P2P_DURATION.labels("send")):
            sent = self._socket.sendto(json.dumps(message).encode(), ("127.0.0.1", port))
        telemetry.P2P_BANDWIDTH.labels("tx").inc(sent)

    def _has_file(self, port: int) -> bool:
        with suppress(OSError):
            return time() - (self._folder / str(port)).stat().st_mtime < FORGOTTEN_SECONDS
        return False


peer = Peer(Path(settings.PEERS_FOLDER))
