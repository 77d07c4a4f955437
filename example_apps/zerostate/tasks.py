"""Run a task for a guild: execute its program, tell the other nodes, pay for it."""

import json
import logging
import urllib.request
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import F
from opentelemetry import trace

from example_apps.zerostate import metrics, wasm
from example_apps.zerostate.models import Guild, Payment, Task
from obs_middleware import outgoing_headers

logger = logging.getLogger(__name__)
tracer = trace.get_tracer(__name__)


class BalanceTooLow(Exception):
    """The guild cannot pay that much."""


def run(guild: Guild, program: str, values: Sequence[float]) -> Sequence[float]:
    task = Task.objects.create(guild=guild, program=program, cost_units=wasm.cost_units(values))
    metrics.TASKS.labels("submitted").inc()
    output = _execute(task, values)
    _coordinate(task)
    pay(guild, payee="executor", amount_units=task.cost_units)
    logger.info("task completed", extra={"task": task.pk, "cost_units": task.cost_units})
    return output


def _execute(task: Task, values: Sequence[float]) -> Sequence[float]:
    attributes = {"wasm.program": task.program, "guild.name": task.guild.name}
    with tracer.start_as_current_span("wasm.execute", attributes=attributes), metrics.WASM_DURATION.time():
        try:
            output = wasm.PROGRAMS[task.program](values)
        except wasm.Trap:
            _ended(task, Task.Status.FAILED)
            raise
    metrics.TASK_COST.labels("actual").observe(task.cost_units)
    _ended(task, Task.Status.COMPLETED)
    return output


def _ended(task: Task, status: str) -> None:
    task.status = status
    task.save(update_fields=["status"])
    metrics.TASKS.labels(status).inc()


def _coordinate(task: Task) -> None:
    """Tell the nodes of utilityfog; that they cannot be reached does not fail the task."""
    if not settings.UTILITYFOG_URL:
        return
    request = urllib.request.Request(
        f"{settings.UTILITYFOG_URL}/messages",
        data=json.dumps({"kind": "task-completed", "subject": f"task-{task.pk}"}).encode(),
        headers={"Content-Type": "application/json", **outgoing_headers()},
    )
    try:
        urllib.request.urlopen(request, timeout=5.0).close()
    except OSError:
        logger.warning("utilityfog could not be told", exc_info=True)


def pay(guild: Guild, *, payee: str, amount_units: int) -> Payment:
    """Pay from the guild's balance; BalanceTooLow if it does not hold that much."""
    attributes = {"guild.name": guild.name, "payment.amount_units": amount_units}
    with tracer.start_as_current_span("payment.send", attributes=attributes), transaction.atomic():
        payer = Guild.objects.filter(pk=guild.pk, balance_units__gte=amount_units)
        if not payer.update(balance_units=F("balance_units") - amount_units):
            metrics.PAYMENTS.labels("failed").inc()
            raise BalanceTooLow(f"guild {guild.name} cannot pay {amount_units} units")
        payment: Payment = guild.payments.create(payee=payee, amount_units=amount_units)
    metrics.PAYMENTS.labels("success").inc()
    metrics.PAYMENT_AMOUNT.observe(amount_units)
    return payment
