"""Two processes of one service, and clients that obey readiness: one process gets SIGTERM, and no request fails."""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event

import httpx

from example_apps.demo import logs, processes
from example_apps.demo.paper import Claim, Paper
from example_apps.demo.processes import Running
from example_apps.demo.services import HOST
from example_apps.demo.waiting import until

DRAIN_SECONDS = 1.5  # long enough that every client has learned of it
CLIENTS = 4
PAUSE_SECONDS = 0.01  # of a client, before each request
PROBE_SECONDS = 0.1  # between two probes
BEFORE_SECONDS = 0.4  # of traffic, before SIGTERM
LONGEST_SECONDS = 8.0  # that the exit may take
READY, NOT_READY, GONE = "200", "503", "gone"


@dataclass(slots=True)
class Instance:
    """One of the processes, and what its readiness probe has answered."""

    running: Running
    readiness: list[tuple[float, str]] = field(default_factory=list)  # each change: when, and to what

    @property
    def state(self) -> str:
        return self.readiness[-1][1] if self.readiness else ""

    def watch(self, is_over: Event) -> None:
        """Probe until it is over."""
        with httpx.Client(base_url=self.running.url, trust_env=False, timeout=5.0) as client:
            while not is_over.wait(PROBE_SECONDS):
                state = GONE
                with suppress(httpx.TransportError):
                    state = str(client.get("/health/ready").status_code)
                if state != self.state:
                    self.readiness.append((time.monotonic(), state))


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent; `problem` says why it has failed."""

    to: Instance
    at: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process has ended under load."""

    sent: list[Sent]
    sigterm_at: float
    seconds: float  # from SIGTERM to exit


def show(paper: Paper, service: Running) -> list[Claim]:
    """Start a second process of a service, end it while requests come, and print what became of them."""
    second = replace(
        service.service,
        name=f"{service.name}_2",
        environment={
            **service.service.environment,
            f"{service.name.upper()}_DB": str(service.database),
            "OBS_DRAIN_SECONDS": str(DRAIN_SECONDS),
        },
    )
    with processes.running({second.name: _free_port()}, service.directory.parent, [second]) as started:
        stays, ends = Instance(service), Instance(started[second.name])
        ending = _end_under_load(stays, ends)
    logged = sum(map(logs.is_access, logs.lines_of(ends.running)))

    paper.heading(f"One of two processes of {service.name} gets SIGTERM while requests come")
    header = ["process", "sent", "answered", "failed", "sent after SIGTERM", "readiness"]
    paper.table(header, [_row(instance, ending) for instance in (stays, ends)], right=(1, 2, 3, 4))
    paper.line()
    paper.line(f"{CLIENTS} clients send to those whose last probe was 200; a probe each {PROBE_SECONDS:g} s")
    paper.line(f"SIGTERM to exit: {ending.seconds:.1f} s, of which drain_seconds is {DRAIN_SECONDS:g}")
    return _claims(stays, ends, ending, logged)


def _end_under_load(stays: Instance, ends: Instance) -> Ending:
    instances = (stays, ends)
    process = ends.running.process
    is_over = Event()
    with ThreadPoolExecutor(CLIENTS + len(instances)) as pool:
        try:
            for instance in instances:
                pool.submit(instance.watch, is_over)
            until(lambda: [instance.state for instance in instances], all)
            clients = [pool.submit(_send_until, is_over, instances) for _ in range(CLIENTS)]
            time.sleep(BEFORE_SECONDS)
            process.send_signal(signal.SIGTERM)
            sigterm_at = time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                process.wait(LONGEST_SECONDS)
            seconds = time.monotonic() - sigterm_at
            until(lambda: ends.state, GONE.__eq__)
        finally:
            is_over.set()
    return Ending([sent for client in clients for sent in client.result()], sigterm_at, seconds)


def _send_until(is_over: Event, instances: Sequence[Instance]) -> list[Sent]:
    """Send requests, each to the next process of those that are ready, over connections that are kept."""
    sent: list[Sent] = []
    with httpx.Client(trust_env=False, timeout=5.0) as client:
        while not is_over.wait(PAUSE_SECONDS):
            number = len(sent)
            ready = [instance for instance in instances if instance.state == READY] or instances
            sent.append(_send(client, ready[number % len(ready)], number))
    return sent


def _send(client: httpx.Client, to: Instance, number: int) -> Sent:
    at = time.monotonic()
    try:
        if number % 4:
            response = client.get(f"{to.running.url}/nodes/{number % 13}")
        else:
            message = {"kind": "rebalance", "subject": f"drain-{number}"}
            response = client.post(f"{to.running.url}/messages", json=message)
        response.raise_for_status()
    except httpx.HTTPError as error:
        return Sent(to, at, f"{type(error).__name__}: {error}")
    return Sent(to, at)


def _row(instance: Instance, ending: Ending) -> list[str]:
    sent = [one for one in ending.sent if one.to is instance]
    failed = sum(bool(one.problem) for one in sent)
    late = sum(one.at >= ending.sigterm_at for one in sent)
    (_, first), *later = instance.readiness
    readiness = [first, *(f"{state} after {at - ending.sigterm_at:.1f} s" for at, state in later)]
    counts = (len(sent), len(sent) - failed, failed, late)
    return [instance.running.name, *map(str, counts), ", ".join(readiness)]


def _claims(stays: Instance, ends: Instance, ending: Ending, logged: int) -> list[Claim]:
    problems = [one.problem for one in ending.sent if one.problem]
    to_ended = sum(one.to is ends for one in ending.sent)
    states = [[state for _, state in instance.readiness] for instance in (stays, ends)]
    return [
        Claim(
            f"none of {len(ending.sent)} requests failed while one of two processes ended",
            not problems,
            "; ".join(problems[:3]),
        ),
        Claim(
            "its readiness said 503 before it was gone; that of the other one stayed 200",
            states == [[READY], [READY, NOT_READY, GONE]],
            str(states),
        ),
        Claim(
            f"all {to_ended} requests that it was sent are in its log, the last ones too",
            0 < to_ended == logged,
            f"{logged} lines",
        ),
    ]


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])
