"""The pages of zerostate: JSON in, JSON out."""

import json
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


class Body(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        raise Refused(422, f"wanted a JSON object with {name}")


class AgentMiddleware:
    """Put on each log line who asks; answer what is refused with its status."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        peer.start()  # here, because each process that serves makes its middleware once, and no other does

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        who = {field: request.headers.get(f"X-{field}", "anonymous") for field in ("agent", "user")}
        bind(**who)
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> JsonResponse | None:
        status, why = error.args if isinstance(error, Refused) else (422, "wanted a JSON object")
        is_bad_input = isinstance(error, (Refused, json.JSONDecodeError))
        return JsonResponse({"error": why}, status=status) if is_bad_input else None


def create_guild(request: HttpRequest) -> JsonResponse:
    name = _body(request)["name"]
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
    agent = _agent(_body(request)["agent"])
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
    task = _body(request)
    output = tasks.run(_active_guild(name), task["program"], task["values"])
    return JsonResponse({"output": [int(one) if one.is_integer() else one for one in output]})


def send_payment(request: HttpRequest, name: str) -> JsonResponse:
    payment = _body(request)
    channel = channels.pay(_active_guild(name), _agent(payment["payee"]), payment["amount_units"])
    return JsonResponse({"paid_units": payment["amount_units"], "channel": channel.pk}, status=201)


def change_channel(request: HttpRequest, pk: int, action: str) -> JsonResponse:
    found = get_object_or_404(Channel, pk=pk)
    {"settle": channels.settle, "dispute": channels.dispute, "close": channels.close}[action](found)
    found.refresh_from_db()
    return JsonResponse({"state": found.state, "agent_units": found.executor.balance_units})


def _body(request: HttpRequest) -> Body:
    return Body(json.loads(request.body, object_hook=Body))


def _agent(name: str) -> Agent:
    return Agent.objects.get_or_create(name=name)[0]


def _active_guild(name: str) -> Guild:
    return get_object_or_404(Guild, name=name, state=Guild.State.active)
