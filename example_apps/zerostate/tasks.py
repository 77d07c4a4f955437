"""Run a task for a guild: choose an agent, execute the program, sign a receipt, pay, tell the others."""

import json
import logging
import urllib.request
from collections.abc import Sequence

from django.conf import settings

from example_apps.zerostate import channels, receipts, reputation, telemetry, wasm
from example_apps.zerostate.models import Guild, Task
from example_apps.zerostate.peers import peer
from example_apps.zerostate.telemetry import TASK_COST, TASKS, span
from obs_django import metrics
from obs_middleware import bind, outgoing_headers

CAP_UNITS = 1000  # that a task may cost

logger = logging.getLogger(__name__)


class TaskFailed(Exception):
    """A program has trapped, run out of fuel, ended with an exit code of its own, or answered with no number."""


def run(guild: Guild, program: str, values: Sequence[float]) -> list[float]:
    with span("wasm.validate", program=program):
        wasm.validate(program, values)
    executor = reputation.best_executor(guild)
    TASKS.labels("submitted").inc()
    task = Task.objects.create(guild=guild, executor=executor, program=program)
    bind(task=task.pk, executor=executor.name)
    done = _execute(task, values)
    if done.error:
        _end(task, Task.Status.failed, "failed")
        raise TaskFailed(f"{program}: {done.error}")
    receipts.issue(task)
    _end(task, Task.Status.completed, "success")
    if receipts.verify(task):
        channels.pay(guild, executor, task.cost_units, task)
    peer.tell(f"task-{task.pk}")
    if settings.UTILITYFOG_URL:
        _tell_utilityfog(f"task-{task.pk}")
    return done.output


def _execute(task: Task, values: Sequence[float]) -> wasm.Execution:
    TASKS.labels("executing").inc()
    TASK_COST.labels("estimated").observe(wasm.estimate(task.program, values))
    with span("wasm.execute", program=task.program, task=task.pk), metrics.timed(telemetry.WASM_DURATION):
        done = wasm.execute(task.program, values, CAP_UNITS)
    metered = {"cost_units": done.cost_units, "memory_bytes": done.memory_bytes, "exit_code": done.exit_code}
    with span("wasm.meter", **metered):
        task.cost_units = done.cost_units
        kind = "capped" if done.exit_code == wasm.OUT_OF_FUEL else "actual"
        TASK_COST.labels(kind).observe(done.cost_units)
        telemetry.WASM_MEMORY.observe(done.memory_bytes)
        telemetry.WASM_EXITS.labels(done.exit_code).inc()
    logger.info("program executed", extra={"program": task.program, **metered})
    return done


def _end(task: Task, status: str, result: str) -> None:
    task.status = status
    task.save()
    TASKS.labels(status).inc()
    reputation.record(task.executor, result)


def _tell_utilityfog(subject: str) -> None:
    """Tell the nodes of utilityfog; that they cannot be reached does not fail the task."""
    message = json.dumps({"kind": "task-completed", "subject": subject}).encode()
    headers = {"Content-Type": "application/json", **outgoing_headers()}
    request = urllib.request.Request(f"{settings.UTILITYFOG_URL}/messages", message, headers)
    try:
        urllib.request.urlopen(request, timeout=5.0).close()
    except OSError:
        logger.warning("utilityfog could not be told", exc_info=True)
