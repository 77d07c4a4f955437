"""The pages of zerostate: JSON in, JSON out."""

import json
import re
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404

from example_apps.zerostate import channels, tasks, telemetry
from example_apps.zerostate.models import Agent, Channel, Guild, Refused
from example_apps.zerostate.peers import peer
from example_apps.zerostate.telemetry import span
from obs_django import events
from obs_middleware import bind


class AgentMiddleware:
    """Put on each log line who asks; answer what is refused with its status."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        peer.start()  # here, because each process that serves makes its middleware once, and no other does

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        who = {field: request.headers.get(f"X-{field}", "anonymous") for field in ("agent", "user")}
        bind(**who)
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, e: Exception) -> JsonResponse | None:
        return JsonResponse({"error": e.args[1]}, status=e.args[0]) if isinstance(e, Refused) else None


def create_guild(request: HttpRequest) -> JsonResponse:
    name = _checked(*_fields(request, "name"))
    with span("guild.create", guild=name):
        guild, is_new = Guild.objects.get_or_create(name=name)
    if is_new:
        telemetry.GUILDS_CREATED.inc()
        events.record("guild_created", labels={"guild": name})
    return JsonResponse({"name": name, "state": guild.state}, status=201 if is_new else 200)


def show_guild(request: HttpRequest, name: str) -> JsonResponse:
    found = get_object_or_404(Guild, name=name)
    return JsonResponse({"name": name, "balance_units": found.balance_units, "tasks": found.tasks.count()})


def join_guild(request: HttpRequest, name: str) -> JsonResponse:
    agent = _agent(*_fields(request, "agent"))
    with span("guild.join", guild=name, agent=agent.name):
        _active_guild(name).members.add(agent)
    return JsonResponse({"agent": agent.name, "score": agent.score}, status=201)


@transaction.atomic
def dissolve_guild(request: HttpRequest, name: str) -> JsonResponse:
    """Close all channels of a guild; it keeps what it has, and takes no more tasks."""
    guild = _active_guild(name)
    with span("guild.dissolve", guild=name):
        for channel in guild.channels.exclude(state=Channel.State.closed):
            channels.close(channel)
        Guild.objects.filter(pk=guild.pk).update(state=Guild.State.dissolved)
    events.record("guild_dissolved", labels={"guild": name})
    return JsonResponse({"name": name, "state": Guild.State.dissolved})


def run_task(request: HttpRequest, name: str) -> JsonResponse:
    """Run a program for a guild; one that traps is an error of ours and answers 500."""
    program, values = _fields(request, "program", "values")
    output = tasks.run(_active_guild(name), program, values)
    return JsonResponse({"output": [int(one) if one.is_integer() else one for one in output]})


def send_payment(request: HttpRequest, name: str) -> JsonResponse:
    payee, amount_units = _fields(request, "payee", "amount_units")
    channel = channels.pay(_active_guild(name), _agent(payee), amount_units)
    return JsonResponse({"paid_units": amount_units, "channel": channel.pk}, status=201)


def change_channel(request: HttpRequest, pk: int, change: Callable[[Channel], object]) -> JsonResponse:
    channel = get_object_or_404(Channel, pk=pk)
    change(channel)
    channel.refresh_from_db()
    return JsonResponse({"state": channel.state, "agent_units": channel.executor.balance_units})


def _fields(request: HttpRequest, *names: str) -> list[Any]:
    """Give these fields of the JSON object that was sent."""
    try:
        return [json.loads(request.body)[name] for name in names]
    except (ValueError, LookupError, TypeError):
        raise Refused(422, f"wanted a JSON object with {' and '.join(names)}") from None


def _agent(name: str) -> Agent:
    return Agent.objects.get_or_create(name=_checked(name))[0]


def _checked(name: object) -> str:
    if not isinstance(name, str) or re.fullmatch(r"[\w-]{1,50}", name, re.ASCII) is None:
        raise Refused(422, f"a name must be letters, digits, _ and -, 50 at most, got {name!r}")
    return name


def _active_guild(name: str) -> Guild:
    return get_object_or_404(Guild, name=name, state=Guild.State.active)
