"""Run a task for a guild: execute its program, tell the other nodes, pay for it."""

import json
import logging
import urllib.request
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import F
from opentelemetry import trace

from example_apps.zerostate import telemetry, wasm
from example_apps.zerostate.models import Guild, Payment, Task
from obs_django import metrics
from obs_middleware import outgoing_headers

logger = logging.getLogger(__name__)
tracer = trace.get_tracer(__name__)


class BalanceTooLow(Exception):
    """The guild cannot pay that much."""


def run(guild: Guild, program: str, values: Sequence[float]) -> Sequence[float]:
    task = Task.objects.create(guild=guild, program=program, cost_units=wasm.cost_units(values))
    telemetry.TASKS.labels("submitted").inc()
    telemetry.TASK_COST.labels("estimated").observe(task.cost_units)
    output = _execute(task, values)
    _coordinate(task)
    pay(guild, payee="executor", amount_units=task.cost_units)
    logger.info("task completed", extra={"task": task.pk, "cost_units": task.cost_units})
    return output


def _execute(task: Task, values: Sequence[float]) -> Sequence[float]:
    attributes = {"wasm.program": task.program, "guild.name": task.guild.name}
    telemetry.TASKS.labels("executing").inc()
    with tracer.start_as_current_span("wasm.execute", attributes=attributes):
        try:
            with metrics.timed(telemetry.WASM_DURATION):
                output = wasm.PROGRAMS[task.program](values)
        except wasm.Trap:
            _ended(task, Task.Status.FAILED, exit_code=1)
            raise
    telemetry.TASK_COST.labels("actual").observe(task.cost_units)
    _ended(task, Task.Status.COMPLETED, exit_code=0)
    return output


def _ended(task: Task, status: str, *, exit_code: int) -> None:
    task.status = status
    task.save(update_fields=["status"])
    telemetry.TASKS.labels(status).inc()
    telemetry.WASM_EXITS.labels(exit_code).inc()
    telemetry.REPUTATION_TASKS.labels("failed" if exit_code else "success").inc()


def _coordinate(task: Task) -> None:
    """Tell the nodes of utilityfog; that they cannot be reached does not fail the task."""
    if not settings.UTILITYFOG_URL:
        return
    message = json.dumps({"kind": "task-completed", "subject": f"task-{task.pk}"}).encode()
    request = urllib.request.Request(
        f"{settings.UTILITYFOG_URL}/messages",
        data=message,
        headers={"Content-Type": "application/json", **outgoing_headers()},
    )
    try:
        with metrics.timed(telemetry.P2P_DURATION.labels("send")):
            urllib.request.urlopen(request, timeout=5.0).close()
    except OSError:
        telemetry.P2P_MESSAGES.labels("request", "error").inc()
        logger.warning("utilityfog could not be told", exc_info=True)
    else:
        telemetry.P2P_MESSAGES.labels("request", "success").inc()
        telemetry.P2P_BANDWIDTH.labels("tx").inc(len(message))


def pay(guild: Guild, *, payee: str, amount_units: int) -> Payment:
    """Pay from the guild's balance; BalanceTooLow if it does not hold that much."""
    attributes = {"guild.name": guild.name, "payment.amount_units": amount_units}
    with tracer.start_as_current_span("payment.send", attributes=attributes), transaction.atomic():
        try:
            payment = transfer(guild, payee=payee, amount_units=amount_units)
        except BalanceTooLow:
            telemetry.PAYMENTS.labels("failed").inc()
            raise
    telemetry.PAYMENTS.labels("success").inc()
    telemetry.PAYMENT_AMOUNT.observe(amount_units)
    return payment


def transfer(guild: Guild, *, payee: str, amount_units: int) -> Payment:
    """Take the amount from the balance and note the payment; wants a transaction around it."""
    payer = Guild.objects.filter(pk=guild.pk, balance_units__gte=amount_units)
    if not payer.update(balance_units=F("balance_units") - amount_units):
        raise BalanceTooLow(f"guild {guild.name} cannot pay {amount_units} units")
    payment: Payment = guild.payments.create(payee=payee, amount_units=amount_units)
    return payment
