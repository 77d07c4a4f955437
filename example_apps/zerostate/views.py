import json
import logging

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from opentelemetry import trace

from example_apps.zerostate import tasks, telemetry, wasm
from example_apps.zerostate.models import Guild
from obs_django import events
from obs_middleware import bind

logger = logging.getLogger(__name__)
tracer = trace.get_tracer(__name__)


@require_http_methods(["GET", "POST"])
def guilds(request: HttpRequest) -> HttpResponseBase:
    if request.method == "POST":
        return _create_guild(json.loads(request.body)["name"])
    return JsonResponse({"guilds": list(Guild.objects.values("name", "state"))})


def _create_guild(name: str) -> HttpResponseBase:
    with tracer.start_as_current_span("guild.create", attributes={"guild.name": name}):
        guild, is_new = Guild.objects.get_or_create(name=name)
    if is_new:
        telemetry.GUILDS_CREATED.inc()
        events.record("guild_created", labels={"guild": guild.name})
    logger.info("guild created" if is_new else "guild found", extra={"guild": guild.name})
    return JsonResponse({"name": guild.name, "state": guild.state}, status=201 if is_new else 200)


@require_GET
def guild(request: HttpRequest, name: str) -> HttpResponseBase:
    found = get_object_or_404(Guild, name=name)
    return JsonResponse({"name": name, "balance_units": found.balance_units, "tasks": found.tasks.count()})


@require_POST
def run_task(request: HttpRequest, name: str) -> HttpResponseBase:
    """Run a program for a guild; one that traps is an error of ours and answers 500."""
    guild = get_object_or_404(Guild, name=name, state=Guild.State.ACTIVE)
    bind(guild=name)
    task = json.loads(request.body)
    if task["program"] not in wasm.PROGRAMS:
        return JsonResponse({"error": f"no such program; we have {', '.join(wasm.PROGRAMS)}"}, status=422)
    return JsonResponse({"output": tasks.run(guild, task["program"], task["values"])})


@require_POST
def send_payment(request: HttpRequest, name: str) -> HttpResponseBase:
    guild = get_object_or_404(Guild, name=name)
    bind(guild=name)
    payment = json.loads(request.body)
    try:
        tasks.pay(guild, payee=payment["payee"], amount_units=payment["amount_units"])
    except tasks.BalanceTooLow as error:
        return JsonResponse({"error": str(error)}, status=402)
    return JsonResponse({"paid_units": payment["amount_units"]}, status=201)
