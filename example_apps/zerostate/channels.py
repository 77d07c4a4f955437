"""Payment channels: a guild puts units aside for an agent, pays out of them, and settles when they are used up.

A dispute stops the payments of a channel; when it is closed then, what no receipt proves goes back to the guild.
"""

from django.db import transaction
from django.db.models import F

from example_apps.zerostate import receipts, telemetry
from example_apps.zerostate.models import Agent, Channel, Guild, Payment, Refused, Task
from example_apps.zerostate.telemetry import span
from obs_django import events, metrics

DEPOSIT_UNITS = 1000  # of a new channel, unless a payment wants more


def pay(guild: Guild, executor: Agent, amount_units: int, task: Task | None = None) -> Channel:
    """Pay through the channel between both, which is opened if there is none."""
    if type(amount_units) is not int or amount_units < 1:  # True is an int too
        raise Refused(422, f"amount_units must be 1 or more, got {amount_units!r}")
    try:
        with span("payment.send", guild=guild.name, agent=executor.name, amount_units=amount_units):
            channel = _send(guild, executor, amount_units, task)
    except Refused as refused:
        telemetry.PAYMENTS.labels("failed").inc()
        events.record("payment_failed", amount_units, labels={"guild": guild.name, "why": refused.args[1]})
        raise
    telemetry.PAYMENTS.labels("success").inc()
    telemetry.PAYMENT_AMOUNT.observe(amount_units)
    return channel


@transaction.atomic
def _send(guild: Guild, executor: Agent, amount_units: int, task: Task | None) -> Channel:
    channel = guild.channels.filter(executor=executor).exclude(state="closed").last()
    if channel and channel.state == Channel.State.disputed:
        raise Refused(409, f"channel {channel.pk} is disputed: close it first")
    if channel and channel.creator_units < amount_units:
        close(channel)
    if not channel or channel.state == Channel.State.closed:
        channel = _open(guild, executor, max(DEPOSIT_UNITS, amount_units))
    channel.creator_units -= amount_units
    channel.executor_units += amount_units
    channel.state = Channel.State.active
    channel.save()
    channel.payments.create(task=task, amount_units=amount_units)
    return channel


def _open(guild: Guild, executor: Agent, units: int) -> Channel:
    with span("payment.channel.open", guild=guild.name, agent=executor.name, deposit_units=units):
        payer = Guild.objects.filter(pk=guild.pk, balance_units__gte=units)
        if not payer.update(balance_units=F("balance_units") - units):
            raise Refused(402, f"guild {guild.name} cannot pay {units} units")
        return Channel.objects.create(creator=guild, executor=executor, creator_units=units)


def dispute(channel: Channel) -> None:
    if Channel.objects.filter(pk=channel.pk).exclude(state="closed").update(state=Channel.State.disputed):
        events.record("channel_disputed", labels={"channel": channel.pk})


@metrics.timed(telemetry.SETTLEMENT_DURATION)
def settle(channel: Channel, *, is_closing: bool = False) -> None:
    """Pay out what the executor has earned; of a disputed channel only when it is closed."""
    with span("payment.settle", channel=channel.pk) as current, transaction.atomic():
        channel.refresh_from_db()
        if channel.state == Channel.State.disputed and not is_closing:
            raise Refused(409, f"channel {channel.pk} is disputed: close it")
        units, channel.executor_units = channel.executor_units, 0
        channel.save()
        channel.payments.update(is_settled=True)
        Agent.objects.filter(pk=channel.executor_id).update(balance_units=F("balance_units") + units)
        current.set_attribute("amount_units", units)
    telemetry.SETTLEMENT_AMOUNT.observe(units)


@transaction.atomic
def close(channel: Channel) -> None:
    """Settle, and give the guild what is left; of a disputed channel also what no receipt proves."""
    channel.refresh_from_db()
    if channel.state == Channel.State.disputed:
        unsettled = channel.payments.filter(is_settled=False)
        unproven = sum(one.amount_units for one in unsettled if not _is_proven(one))
        channel.creator_units += unproven
        channel.executor_units -= unproven
        channel.save()
    settle(channel, is_closing=True)
    balance_units = F("balance_units") + channel.creator_units
    Guild.objects.filter(pk=channel.creator_id).update(balance_units=balance_units)
    channel.creator_units, channel.state = 0, Channel.State.closed
    channel.save()


def _is_proven(payment: Payment) -> bool:
    return bool((task := payment.task) and payment.amount_units <= task.cost_units and receipts.verify(task))
