"""Receipts: what an agent has done for a guild, signed with the key of the service (HMAC-SHA256)."""

import json

from django.utils.crypto import constant_time_compare, salted_hmac

from example_apps.zerostate.models import Task
from example_apps.zerostate.telemetry import RECEIPTS
from obs_django import events


def issue(task: Task) -> None:
    """Write down what was done, and sign it."""
    task.receipt = _of(task)
    RECEIPTS.labels("generated").inc()
    task.signature = _signature(task)
    RECEIPTS.labels("signed").inc()


def verify(task: Task) -> bool:
    """Tell whether a receipt is ours, as it was, and of this task; one that is not is an event of security."""
    if task.receipt == _of(task) and constant_time_compare(task.signature, _signature(task)):
        RECEIPTS.labels("verified").inc()
        return True
    events.record("receipt_forged", labels={"security": True, "task": task.pk})
    return False


def _of(task: Task) -> str:
    return json.dumps({"executor": task.executor.name, "task": task.pk, "cost_units": task.cost_units})


def _signature(task: Task) -> str:
    return str(salted_hmac("zerostate.receipts", task.receipt, algorithm="sha256").hexdigest())
