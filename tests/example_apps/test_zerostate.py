"""zerostate as its users see it: two workers, a ledger in SQLite, a peer network and a WASM runtime, all real."""

import json
import os
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from example_apps.demo import logs, pages, processes, services
from example_apps.demo.processes import Running
from example_apps.demo.services import HEALTH_TOKEN
from example_apps.demo.waiting import until
from tests.core.export.receiving import Receiver, receiver
from tests.running import free_port

PATIENCE_SECONDS = 60.0
TASKS = "/guilds/rankers/tasks/"


@pytest.fixture(scope="module")
def spans() -> Iterator[Receiver]:
    with receiver() as sink:
        yield sink


@pytest.fixture(scope="module")
def zerostate(tmp_path_factory: pytest.TempPathFactory, spans: Receiver) -> Iterator[Running]:
    """Run it alone, with all traces kept and brought to `spans` at once."""
    environment = {
        "OTLP_ENDPOINT": spans.url,
        "OBS_TRACE_SAMPLE_RATIO": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    (service,) = [one for one in services.SERVICES if one.name == "zerostate"]
    lone = replace(service, calls="", environment={**service.environment, **environment})
    ports = {"zerostate": free_port()}
    with processes.running(ports, tmp_path_factory.mktemp("zerostate"), [lone]) as running:
        yield running["zerostate"]


class Numbers:
    """What the metrics have gained since this was made."""

    def __init__(self, service: Running) -> None:
        self._service = service
        self._before = pages.read(service)

    def more(self, name: str, **labels: str) -> float:
        return self.now(name, **labels) - pages.total(self._before, f"zerostate_{name}", **labels)

    def now(self, name: str, **labels: str) -> float:
        return pages.total(pages.read(self._service), f"zerostate_{name}", **labels)


@pytest.fixture
def numbers(zerostate: Running) -> Numbers:
    return Numbers(zerostate)


def post(service: Running, path: str, json: Any = None, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(service.url + path, json=json, headers=sent, trust_env=False, timeout=60.0)


def guild_of(service: Running, name: str, *agents: str) -> str:
    """Found a guild of these agents, and give the path of its pages."""
    post(service, "/guilds/", {"name": name})
    for agent in agents:
        assert post(service, f"/guilds/{name}/members/", {"agent": agent}).status_code == 201
    return f"/guilds/{name}"


def events(service: Running, name: str, **labels: object) -> list[dict[str, Any]]:
    """Give the log lines of an event that has these labels, once there is one."""

    def look() -> list[dict[str, Any]]:
        lines = [line for line in logs.lines_of(service) if line["message"] == name]
        return [line for line in lines if labels.items() <= line.get("event_labels", {}).items()]

    return until(look, bool, PATIENCE_SECONDS)


def test_a_task_runs_in_wasm_and_is_paid_by_what_was_metered(zerostate: Running, numbers: Numbers) -> None:
    before = zerostate.get("/guilds/rankers/").json()
    assert post(zerostate, TASKS, {"program": "rank", "values": [1, 3, 2]}).json() == {"output": [1, 2, 0]}
    assert post(zerostate, TASKS, {"program": "mean", "values": [1, 2, 6.5]}).json() == {
        "output": [3.1666666666666665]
    }
    assert zerostate.get("/guilds/rankers/").json()["tasks"] == before["tasks"] + 2
    assert [numbers.more("tasks_total", status=one) for one in ("submitted", "executing", "completed")] == [
        2
    ] * 3
    assert [numbers.more("receipts_total", status=one) for one in ("generated", "signed", "verified")] == [
        2
    ] * 3
    assert numbers.more("wasm_execution_duration_seconds_count") == 2
    assert numbers.more("wasm_memory_bytes_sum") == 2 * 65_536
    assert numbers.more("wasm_exits_total", code="0") == 2
    cost = numbers.more("task_cost_units_sum", type="actual")
    assert cost >= 2
    assert numbers.more("task_cost_units_count", type="estimated") == 2
    assert [numbers.more("payments_total", status="success"), numbers.more("payment_amount_units_sum")] == [
        2,
        cost,
    ]
    assert numbers.more("reputation_tasks_total", result="success") == 2


def test_programs_that_trap_run_out_of_fuel_or_of_memory_fail_with_their_exit_code(
    zerostate: Running, numbers: Numbers
) -> None:
    guild = guild_of(zerostate, "failing", "failer-1", "failer-2")
    ways = {"mean": ([], "134"), "spin": ([], "152"), "grow": ([0] * 40, "12")}
    for program, (values, _) in ways.items():
        answer = post(zerostate, f"{guild}/tasks/", {"program": program, "values": values})
        assert answer.status_code == 500
    assert [numbers.more("wasm_exits_total", code=code) for _, code in ways.values()] == [1, 1, 1]
    assert numbers.more("tasks_total", status="failed") == 3
    assert numbers.more("task_cost_units_sum", type="capped") == 1000
    assert numbers.more("wasm_memory_bytes_sum") == 2 * 65_536 + 2**20
    assert numbers.more("reputation_tasks_total", result="failed") == 3
    assert numbers.more("payments_total") == 0


def test_a_program_whose_answer_is_no_finite_number_fails(zerostate: Running) -> None:
    guild = guild_of(zerostate, "endless", "counter")
    answer = post(zerostate, f"{guild}/tasks/", {"program": "mean", "values": [1e308, 1e308]})
    assert answer.status_code == 500

    def messages() -> list[str]:
        return [line["exception"]["message"] for line in logs.lines_of(zerostate) if line.get("exception")]

    wanted = "mean: an answer is not a finite number"
    assert wanted in until(messages, lambda seen: wanted in seen, PATIENCE_SECONDS)


def test_an_agent_that_fails_again_and_again_gets_no_task_for_a_while(
    zerostate: Running, numbers: Numbers
) -> None:
    guild = guild_of(zerostate, "careless", "butterfingers")
    trap = {"program": "mean", "values": []}
    statuses = [post(zerostate, f"{guild}/tasks/", trap).status_code for _ in range(6)]
    assert statuses == [500] * 5 + [503]
    assert numbers.more("blacklisted_executors") == 1
    assert numbers.more("tasks_total", status="failed") == 5
    assert 0 < numbers.now("reputation_score") < 1
    (event,) = events(zerostate, "executor_blacklisted", agent="butterfingers")
    assert event["event_labels"]["security"] is True


def test_guilds_are_founded_joined_and_dissolved(zerostate: Running, numbers: Numbers) -> None:
    guild = guild_of(zerostate, "short-lived", "ann")
    guild_of(zerostate, "short-lived")
    assert numbers.more("guild_creations_total") == 1
    assert numbers.more("guild_total", state="active") == 1
    post(zerostate, f"{guild}/tasks/", {"program": "mean", "values": [1]})
    assert post(zerostate, f"{guild}/dissolve/").status_code == 200
    assert [numbers.more("guild_total", state=state) for state in ("active", "dissolved")] == [0, 1]
    assert numbers.more("channels", state="closed") == 1
    for event in ("guild_created", "guild_dissolved"):
        (line,) = events(zerostate, event, guild="short-lived")
        assert line["event_labels"] == {"guild": "short-lived"}
    assert zerostate.get(f"{guild}/").json()["balance_units"] == 1_000_000 - 1  # what the task has cost
    assert post(zerostate, f"{guild}/tasks/", {"program": "mean", "values": [1]}).status_code == 404


def test_a_channel_is_opened_pays_settles_and_is_closed(zerostate: Running, numbers: Numbers) -> None:
    guild = guild_of(zerostate, "payers", "bob")
    channels = {
        post(zerostate, f"{guild}/payments/", {"payee": "bob", "amount_units": 40}).json()["channel"]
        for _ in range(2)
    }
    (channel,) = channels
    assert numbers.more("channels", state="active") == 1
    balances = [numbers.more("channel_balance_units", party=party) for party in ("creator", "executor")]
    assert balances == [920, 80]
    assert post(zerostate, f"/channels/{channel}/settle/").json() == {"state": "active", "agent_units": 80}
    assert numbers.more("settlement_amount_units_sum") == 80
    assert numbers.more("settlement_duration_seconds_count") == 1
    assert post(zerostate, f"/channels/{channel}/close/").json()["state"] == "closed"
    assert numbers.more("channel_balance_units") == 0
    assert zerostate.get(f"{guild}/").json()["balance_units"] == 1_000_000 - 80
    opened = post(zerostate, f"{guild}/payments/", {"payee": "bob", "amount_units": 999}).json()["channel"]
    used_up = post(zerostate, f"{guild}/payments/", {"payee": "bob", "amount_units": 2}).json()["channel"]
    assert used_up > opened > channel


def test_what_no_receipt_proves_goes_back_after_a_dispute(zerostate: Running, numbers: Numbers) -> None:
    guild = guild_of(zerostate, "disputing", "carl")
    task = {"program": "mean", "values": [1]}
    for _ in range(2):
        post(zerostate, f"{guild}/tasks/", task)
    paid = post(zerostate, f"{guild}/payments/", {"payee": "carl", "amount_units": 30}).json()
    with closing(sqlite3.connect(zerostate.database, timeout=60)) as database, database:
        database.execute(
            "UPDATE zerostate_task SET receipt = replace(receipt, 'carl', 'mole')"
            " WHERE id = (SELECT max(id) FROM zerostate_task)"
        )
    path = f"/channels/{paid['channel']}"
    assert post(zerostate, f"{path}/dispute/").json()["state"] == "disputed"
    assert numbers.more("channels", state="disputed") == 1
    refused = post(zerostate, f"{guild}/payments/", {"payee": "carl", "amount_units": 1})
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        f"channel {paid['channel']} is disputed: close it first",
    )
    assert numbers.more("payments_total", status="failed") == 1
    assert post(zerostate, f"{path}/settle/").status_code == 409  # else the dispute comes too late
    assert post(zerostate, f"{path}/close/").json() == {"state": "closed", "agent_units": 1}
    assert events(zerostate, "receipt_forged")[0]["event_labels"]["security"] is True
    assert post(zerostate, f"{path}/dispute/").json()["state"] == "closed"  # it is too late
    assert len(events(zerostate, "channel_disputed")) == 1
    assert events(zerostate, "payment_failed")


@pytest.mark.parametrize(
    ("path", "content", "status", "error"),
    [
        (TASKS, {"program": "mine", "values": []}, 422, "no such program; we have grow, mean, rank, spin"),
        (TASKS, {"program": "rank"}, 422, "wanted a JSON object with program and values"),
        (TASKS, {"program": "rank", "values": ["a"]}, 422, "values must be a list of numbers"),
        (TASKS, {"program": "rank", "values": [0] * 4097}, 422, "values must be 4096 at most, got 4097"),
        (TASKS, None, 422, "wanted a JSON object with program and values"),
        (
            "/guilds/rankers/payments/",
            {"payee": "x", "amount_units": -1},
            422,
            "amount_units must be 1 or more, got -1",
        ),
        (
            "/guilds/rankers/payments/",
            {"payee": "x", "amount_units": 10**9},
            402,
            "guild rankers cannot pay 1000000000 units",
        ),
        (TASKS, {"program": ["rank"], "values": []}, 422, "no such program; we have grow, mean, rank, spin"),
        (TASKS, {"program": "rank", "values": [10**400]}, 422, "values must be a list of numbers"),
        (
            "/guilds/rankers/payments/",
            {"payee": "x", "amount_units": True},
            422,
            "amount_units must be 1 or more, got True",
        ),
        (
            "/guilds/",
            {"name": {"a": 1}},
            422,
            "a name must be letters, digits, _ and -, 50 at most, got {'a': 1}",
        ),
    ],
)
def test_bad_input_is_refused_and_says_why(
    zerostate: Running, path: str, content: Any, status: int, error: str
) -> None:
    answer = post(zerostate, path, content)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_its_workers_are_peers_that_gossip_and_answer(zerostate: Running, numbers: Numbers) -> None:
    connected = partial(numbers.now, "p2p_peers", state="connected")
    assert until(connected, (1.0).__eq__, PATIENCE_SECONDS) == 1

    def seen(number: Callable[[], float]) -> float:
        """Tell the peers of a task until a number shows it: one that is silent for long is given up."""

        def told() -> float:
            post(zerostate, TASKS, {"program": "rank", "values": [1]})
            return number()

        return until(number, bool, 2.0) or until(told, bool, PATIENCE_SECONDS)

    post(zerostate, TASKS, {"program": "rank", "values": [1]})
    for kind in ("gossip", "request", "response"):
        assert seen(partial(numbers.more, "p2p_messages_total", type=kind, status="success"))
    assert seen(partial(numbers.now, "p2p_connections", state="active")) >= 1
    assert [numbers.more("p2p_bandwidth_bytes_total", direction=one) > 0 for one in ("tx", "rx")] == [
        True,
        True,
    ]
    for operation in ("connect", "send", "receive"):
        assert numbers.now("p2p_operation_duration_seconds_count", operation=operation) >= 1


@pytest.mark.parametrize(
    "datagram",
    [
        b"[" * 60_000,
        b'{"kind": "gossip", "known": ["..", "../..", {}]}',
        b'{"kind": "request", "subject": "' + "\u00e9".encode() * 30_000 + b'"}',
    ],
    ids=["nested", "names of folders", "response too large"],
)
def test_no_datagram_ends_a_peer(zerostate: Running, numbers: Numbers, datagram: bytes) -> None:
    until(lambda: numbers.now("p2p_peers", state="connected"), bool, PATIENCE_SECONDS)
    folder = Path(f"{zerostate.database}.peers")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.bind(("127.0.0.1", 0))
        own = folder / str(sender.getsockname()[1])
        peers = [int(file.name) for file in folder.iterdir()]
        own.touch()  # it is known, else nothing that it says is read
        for port in peers:
            sender.sendto(datagram, ("127.0.0.1", port))
        sender.settimeout(PATIENCE_SECONDS)
        sender.sendto(b'{"kind": "request", "subject": "still there"}', ("127.0.0.1", peers[0]))
        while b"still there" not in sender.recv(65_536):
            pass
        own.unlink()
    before = numbers.now("p2p_messages_total", type="gossip", status="success")
    assert until(
        lambda: numbers.now("p2p_messages_total", type="gossip", status="success") > before,
        bool,
        PATIENCE_SECONDS,
    )


def test_a_peer_that_is_killed_is_seen_as_failed(zerostate: Running, numbers: Numbers) -> None:
    """It takes seconds because a peer has failed after two seconds of silence."""
    until(lambda: numbers.now("p2p_peers", state="connected"), bool, PATIENCE_SECONDS)
    pid = zerostate.process.pid
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(worker, signal.SIGKILL)
    failed = partial(numbers.now, "p2p_peers", state="failed")
    assert until(failed, (1.0).__eq__, PATIENCE_SECONDS) == 1
    assert until(
        lambda: numbers.more("p2p_messages_total", type="gossip", status="error"), bool, PATIENCE_SECONDS
    )
    assert events(zerostate, "peer_failed")

    def connectivity() -> dict[str, Any]:
        checks = zerostate.get("/health/ready", token=HEALTH_TOKEN).json()["checks"]
        return dict(checks["p2p_connectivity"][0])

    output = "1 of 2 peers have failed"  # gunicorn has started another worker
    seen = until(connectivity, lambda check: check.get("output") == output, PATIENCE_SECONDS)
    assert (seen["status"], seen["output"]) == ("warn", output)
    assert until(lambda: zerostate.get("/health/ready").status_code, (200).__eq__, PATIENCE_SECONDS) == 200


def test_spans_name_what_was_done_with_attributes(zerostate: Running, spans: Receiver) -> None:
    guild = guild_of(zerostate, "traced", "dora")
    post(zerostate, f"{guild}/tasks/", {"program": "rank", "values": [2, 1]})
    for _ in range(5):
        post(zerostate, f"{guild}/tasks/", {"program": "mean", "values": []})
    post(zerostate, f"{guild}/dissolve/")
    wanted = {
        "guild.create": {"guild"},
        "guild.join": {"guild", "agent"},
        "guild.dissolve": {"guild"},
        "wasm.validate": {"program"},
        "wasm.execute": {"program", "task"},
        "wasm.meter": {"cost_units", "memory_bytes", "exit_code"},
        "payment.channel.open": {"guild", "agent", "deposit_units"},
        "payment.send": {"guild", "agent", "amount_units"},
        "payment.settle": {"channel", "amount_units"},
        "reputation.record": {"agent", "result"},
        "reputation.calculate": {"agent", "score"},
        "reputation.blacklist": {"agent", "score"},
    }
    found = until(
        lambda: attributes_by_name(spans), lambda seen: wanted.items() <= seen.items(), PATIENCE_SECONDS
    )
    assert {name: found.get(name) for name in wanted} == wanted


def attributes_by_name(spans: Receiver) -> dict[str, set[str]]:
    """Give the names of the attributes of the last span of each name."""
    return {
        span.name: {attribute.key for attribute in span.attributes}
        for request in list(spans.requests)
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def test_log_lines_say_who_asked_what_it_cost_and_where_it_failed(zerostate: Running) -> None:
    who = {"x_agent": "eve", "x_user": "u-17"}
    ids = [
        post(zerostate, TASKS, {"program": program, "values": []}, **who).headers["X-Request-ID"]
        for program in ("rank", "mean")
    ]

    def lines(request_id: str) -> dict[str, dict[str, Any]]:
        return {
            line["message"]: line for line in logs.lines_of(zerostate) if line.get("request_id") == request_id
        }

    def is_whole(seen: dict[str, dict[str, Any]]) -> bool:
        return any(map(logs.is_access, seen.values()))

    good, failed = (until(partial(lines, one), is_whole, PATIENCE_SECONDS) for one in ids)
    assert {(line["agent"], line["user"]) for line in [*good.values(), *failed.values()]} == {("eve", "u-17")}
    executed = good["program executed"]
    assert (executed["program"], executed["cost_units"], executed["memory_bytes"]) == ("rank", 1, 65_536)
    assert good[f"POST {TASKS} 200"]["duration_ms"] > 0
    errors = [line["exception"] for line in failed.values() if "exception" in line]
    assert [error["type"].rpartition(".")[2] for error in errors] == ["TaskFailed"]
    assert "tasks.py" in errors[0]["stack"]


def test_health_of_its_data_has_a_page_of_its_own(zerostate: Running) -> None:
    details = zerostate.get("/health/data", token=HEALTH_TOKEN).json()["checks"]
    assert set(details) == {"storage", "migrations", "disk"}


def test_readiness_fails_while_its_tables_are_gone_and_liveness_does_not(zerostate: Running) -> None:
    """It takes seconds, which are between two runs of a check."""

    def probes() -> list[int]:
        return [zerostate.get(f"/health/{probe}").status_code for probe in ("live", "ready", "startup")]

    with closing(sqlite3.connect(zerostate.database, timeout=60, isolation_level=None)) as database:
        database.execute("ALTER TABLE zerostate_guild RENAME TO away")
        try:
            assert until(probes, lambda seen: seen == [200, 503, 200], PATIENCE_SECONDS) == [200, 503, 200]
        finally:
            database.execute("ALTER TABLE away RENAME TO zerostate_guild")
    assert until(probes, lambda seen: seen == [200] * 3, PATIENCE_SECONDS) == [200] * 3


def test_a_receipt_is_kept_with_its_task(zerostate: Running) -> None:
    post(zerostate, TASKS, {"program": "rank", "values": [1]})
    with closing(sqlite3.connect(zerostate.database, timeout=60)) as database:
        query = "SELECT receipt, signature, cost_units FROM zerostate_task WHERE status = 'completed' ORDER BY id DESC"
        receipt, signature, cost_units = database.execute(query).fetchone()
    assert json.loads(receipt)["cost_units"] == cost_units
    assert len(signature) == 64
