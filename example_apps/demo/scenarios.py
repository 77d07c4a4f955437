"""The scenarios: for each what happens, to which services, and which metrics must move."""

import subprocess
from collections.abc import Iterable
from contextlib import closing
from sqlite3 import connect

from example_apps.demo import faults, logs, pages, plan, processes, traffic
from example_apps.demo.paper import Claim
from example_apps.demo.processes import Running
from example_apps.demo.scenario import Scenario, Services, ends_at, grows, series, stays
from example_apps.demo.services import HEALTH_TOKEN, WORKER
from example_apps.demo.traffic import Answer, Call
from example_apps.demo.waiting import until

WAIT_SECONDS = 30.0  # for what must come, on a busy machine

PAYMENTS = "/guilds/rankers/payments/"
TASKS = "/guilds/rankers/tasks/"
THROTTLED = "tokpulse_tenant_throttling_total"
PROCESSED = "tokpulse_webhook_processed_total"
ATTEMPTS = "tokpulse_job_attempts_total"
WAITING = series("tokpulse", "tokpulse_job_queue_size")


def calm(services: Services) -> list[Claim]:
    calls = [
        *(plan.chained_webhook(number) for number in range(8)),
        *(_widget(store) for store in plan.STORES * 4),
        *(_play(song) for song in range(1, 7)),
        *[_call("zerostate", "POST", PAYMENTS, 201, _payment(25))] * 4,
        *(_call("utilityfog", "GET", f"/nodes/{number}", 200) for number in range(6)),
    ]
    return [_all_answered(_send(services, calls, seconds=4.0))]


def flash_crowd(services: Services) -> list[Claim]:
    calls = [
        call
        for number in range(60)
        for call in (plan.chained_webhook(number), *(_widget(store) for store in plan.STORES))
    ]
    return [_all_answered(_send(services, calls, seconds=2.0))]


def payment_failures(services: Services) -> list[Claim]:
    refused = [_call("zerostate", "POST", PAYMENTS, 402, _payment(2_000_000_000))] * 8
    paid = [_call("zerostate", "POST", PAYMENTS, 201, _payment(25))] * 8
    return [_all_answered(_send(services, [*refused, *paid], seconds=2.0))]


def partition(services: Services) -> list[Claim]:
    task = _call("zerostate", "POST", TASKS, 200, {"program": "rank", "values": [3, 1, 2]})
    _status_of(services["zerostate"], "p2p_connectivity", "pass")  # its two workers have found each other
    with faults.worker_not_answering(services["zerostate"]):
        answers = _send(services, [task] * 3, seconds=0.3)
        cut_off = _status_of(services["zerostate"], "p2p_connectivity", "warn")
    healed = _status_of(services["zerostate"], "p2p_connectivity", "pass")
    _send(services, [task] * 2, seconds=0.2)
    return [
        _all_answered(answers),
        Claim("zerostate is degraded while its peer does not answer", cut_off == "warn", cut_off),
        Claim("zerostate is well again once the peer answers", healed == "pass", healed),
    ]


def noisy_tenant(services: Services) -> list[Claim]:
    noisy = [_widget("vinyl-cave")] * 120
    others = [_widget(store) for store in ("north-records", "tape-heads") * 5]
    forged = [_call("tokpulse", "POST", "/webhooks/orders-paid", 401, plan.order(1))] * 3
    answers = _send(services, [*noisy, *others, *forged], seconds=0.5)
    refused = sum(answer.status == 429 for answer in answers if answer.call is noisy[0])
    return [
        _all_answered([answer for answer in answers if answer.call is not noisy[0]]),
        Claim(f"{refused} of {len(noisy)} requests of the noisy shop were refused", refused > 0),
    ]


def slow_database(services: Services) -> list[Claim]:
    widgets = [_widget(store) for store in plan.STORES * 20]
    with faults.locked(services["tokpulse"].database, held_seconds=0.8, free_seconds=0.1):
        answers = _send(services, widgets, seconds=3.0)
    return [_all_answered(answers)]


def dead_downstream(services: Services) -> list[Claim]:
    faults.kill(services["audotics"].process)
    answers = _send(services, [plan.chained_webhook(number) for number in range(10)], seconds=1.0)
    dead = series("tokpulse", ATTEMPTS, job="recommend", status="dead")
    seen = until(lambda: dead.of({"tokpulse": pages.read(services["tokpulse"])}), (10.0).__eq__, WAIT_SECONDS)
    services["audotics"] = processes.start_again(services["audotics"])
    told = _requeue_dead(services["tokpulse"])
    return [
        _all_answered(answers),
        Claim("all that need the dead service are dead letters after five attempts", seen == 10, f"{seen:g}"),
        Claim("its operator gives them new attempts", told.startswith("10 dead jobs"), told),
    ]


def dead_worker(services: Services) -> list[Claim]:
    tokpulse = services["tokpulse"]
    with faults.not_answering(services["audotics"]):
        answers = _send(services, [plan.chained_webhook(number) for number in range(6)], seconds=0.5)
        busy = until(lambda: _busy_worker(tokpulse), bool, WAIT_SECONDS)
        for process in tokpulse.beside:
            if process.pid == busy:
                faults.kill(process)
    taken_over = until(lambda: _second_attempts(tokpulse), bool, WAIT_SECONDS)
    return [
        _all_answered(answers),
        Claim("a worker was killed in the middle of a job", bool(busy)),
        Claim("another worker has done that job", bool(taken_over)),
    ]


SCENARIOS = (
    Scenario(
        "calm",
        "nothing goes wrong",
        ("tokpulse", "audotics", "zerostate", "utilityfog"),
        calm,
        (
            grows(series("tokpulse", PROCESSED, status="ok"), 8),
            grows(series("tokpulse", ATTEMPTS, job="recommend", status="ok"), 8),
            stays(series("tokpulse", ATTEMPTS, status="retried")),
            stays(series("tokpulse", THROTTLED)),
            stays(series("tokpulse", "tokpulse_widget_errors_total")),
            ends_at(WAITING, 0),
            grows(series("audotics", "song_plays_total"), 6),
            grows(series("audotics", "recommendations_generated_total")),
            stays(series("audotics", "recommendation_errors_total")),
            stays(series("zerostate", "zerostate_payments_total", status="failed")),
            stays(series("zerostate", "zerostate_p2p_messages_total", status="error")),
            grows(series("utilityfog", "messages_received_total")),
        ),
    ),
    Scenario(
        "flash-crowd",
        "240 requests in two seconds; the queue takes what the workers can't do at once",
        ("tokpulse", "audotics"),
        flash_crowd,
        (
            grows(series("tokpulse", "tokpulse_exposure_total"), 180),
            grows(series("tokpulse", PROCESSED, status="ok"), 60),
            grows(series("audotics", "recommendation_generation_duration_seconds_count"), 60),
            stays(series("tokpulse", "tokpulse_api_requests_total", code="500")),
            ends_at(WAITING, 0),
        ),
        environment={"TOKPULSE_REQUESTS_PER_SECOND": "500"},
    ),
    Scenario(
        "payment-failures",
        "half of the payments are more than the guild has",
        ("zerostate",),
        payment_failures,
        (
            grows(series("zerostate", "zerostate_payments_total", status="failed"), 8),
            grows(series("zerostate", "zerostate_payments_total", status="success"), 8),
        ),
    ),
    Scenario(
        "partition",
        "one of two peers does not answer; then it does again",
        ("zerostate",),
        partition,
        (
            grows(series("zerostate", "zerostate_p2p_messages_total", status="error")),
            grows(series("zerostate", "zerostate_p2p_messages_total", status="success")),
            grows(series("zerostate", "zerostate_tasks_total", status="completed"), 5),
            ends_at(series("zerostate", "health_status", component="p2p_connectivity"), 1),
        ),
    ),
    Scenario(
        "noisy-tenant",
        "one shop sends far more than it may, and somebody forges webhooks",
        ("tokpulse",),
        noisy_tenant,
        (
            grows(series("tokpulse", THROTTLED, storeId="vinyl-cave", orgId="cave-group", reason="rate")),
            stays(series("tokpulse", THROTTLED, storeId="north-records")),
            stays(series("tokpulse", THROTTLED, storeId="tape-heads")),
            grows(series("tokpulse", "tokpulse_tenant_events_total", storeId="tape-heads"), 5),
            grows(series("tokpulse", PROCESSED, status="rejected"), 3),
        ),
        environment={"TOKPULSE_REQUESTS_PER_SECOND": "5"},
    ),
    Scenario(
        "slow-database",
        "another program locks the database again and again",
        ("tokpulse",),
        slow_database,
        (
            grows(series("tokpulse", "tokpulse_widget_render_ms_count"), 60),
            grows(series("tokpulse", "tokpulse_guardrail_breach_total", metric="p95_ms")),
            stays(series("tokpulse", "tokpulse_guardrail_breach_total", metric="error_ratio")),
            stays(series("tokpulse", "tokpulse_widget_errors_total")),
        ),
        environment={"TOKPULSE_REQUESTS_PER_SECOND": "500"},
    ),
    Scenario(
        "dead-downstream",
        "audotics is killed; webhooks go on, and what needs it waits",
        ("tokpulse", "audotics"),
        dead_downstream,
        (
            grows(series("tokpulse", PROCESSED, status="ok"), 10),
            stays(series("tokpulse", PROCESSED, status="failed")),
            grows(series("tokpulse", ATTEMPTS, job="recommend", status="retried"), 40),
            grows(series("tokpulse", ATTEMPTS, job="recommend", status="dead"), 10),
            grows(series("tokpulse", ATTEMPTS, job="recommend", status="ok"), 10),
            ends_at(WAITING, 0),
        ),
    ),
    Scenario(
        "dead-worker",
        "one of two workers is killed in the middle of a job",
        ("tokpulse", "audotics"),
        dead_worker,
        (
            grows(series("tokpulse", PROCESSED, status="ok"), 6),
            grows(series("tokpulse", ATTEMPTS, job="recommend", status="ok")),
            stays(series("tokpulse", ATTEMPTS, status="dead")),
            ends_at(WAITING, 0),
        ),
        environment={"TOKPULSE_LEASE_SECONDS": "2"},
        workers=2,
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def _send(services: Services, calls: list[Call], *, seconds: float) -> list[Answer]:
    return traffic.send_all(calls, services, seconds=seconds)


def _all_answered(answers: Iterable[Answer]) -> Claim:
    answers = list(answers)
    odd = [
        f"{answer.call}: {answer.status or answer.problem}" for answer in answers if not answer.is_as_expected
    ]
    return Claim(f"all {len(answers)} calls were answered as they should be", not odd, "; ".join(odd[:3]))


def _call(service: str, method: str, path: str, status: int, json: object = None) -> Call:
    return Call(service, method, path, status, (), json=json)


def _widget(store_id: str) -> Call:
    return _call("tokpulse", "GET", f"/widgets/home?store_id={store_id}", 200)


def _play(song_id: int) -> Call:
    return _call("audotics", "POST", "/plays", 201, {"song_id": song_id, "listener_id": f"fan-{song_id % 3}"})


def _payment(amount_units: int) -> dict[str, object]:
    return {"payee": "node-4", "amount_units": amount_units}


def _status_of(service: Running, component: str, wanted: str) -> str:
    """Wait until a check of a service says what is wanted; give what it said last."""

    def look() -> str:
        checks = service.get("/health/ready", token=HEALTH_TOKEN).json().get("checks", {})
        return str(checks.get(component, [{}])[0].get("status"))

    return until(look, wanted.__eq__, WAIT_SECONDS)


def _requeue_dead(tokpulse: Running) -> str:
    command = [*WORKER, "--requeue-dead"]
    done = subprocess.run(
        command, cwd=tokpulse.directory, env=tokpulse.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def _busy_worker(tokpulse: Running) -> int:
    """Give the process that has a job which waits for audotics; 0 if there is none."""
    query = "SELECT worker FROM jobs WHERE type = 'recommend' AND state = 'running'"
    with closing(connect(tokpulse.database, timeout=30.0)) as connection:
        found = connection.execute(query).fetchone()
    return int(found[0]) if found else 0


def _second_attempts(tokpulse: Running) -> list[logs.Line]:
    """Give the lines of jobs that were done by the second attempt."""
    lines = logs.lines_of(tokpulse)
    return [line for line in lines if line["message"] == "job done" and line.get("attempt") == 2]
