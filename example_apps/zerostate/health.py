"""The health of zerostate: one check for each of its parts, and a group for what holds its data.

Each check runs in a thread that it keeps; the adapter closes its connection to the database after each run. The check
`database:default` is there without a line of ours. Details at `/health/ready` are for who has `OBS_HEALTH_TOKEN`.
"""

from pathlib import Path

from django.conf import settings
from django.db import transaction

from example_apps.zerostate import reputation, wasm
from example_apps.zerostate.models import Agent, Channel, Guild
from example_apps.zerostate.peers import peer
from obs_django import get_observer
from obs_django.ready_made import django_migrations
from obs_middleware.health import Result
from obs_middleware.health.ready_made import disk_space, http_url

health = get_observer().health
# A group of its own, answered at /health/data; readiness asks only those of it that are in "ready" too.
DATA = "data"

# Reads the graph of all migrations, so once a minute.
health.add("migrations", django_migrations(), every_seconds=60, groups=("ready", DATA))
folder = Path(settings.DATABASES["default"]["NAME"]).absolute().parent
health.add("disk", disk_space(str(folder)), every_seconds=30, groups=DATA)
if settings.UTILITYFOG_URL:  # a task is done and paid also where nobody can be told: degraded, not down
    utilityfog = http_url(f"{settings.UTILITYFOG_URL}/health/live")
    health.add("utilityfog", utilityfog, critical=False, every_seconds=5)


@health.check("storage", every_seconds=1, groups=("ready", DATA), component_type="datastore")
def storage() -> None:
    """Read a table, because SQLite answers `SELECT 1` also where the tables are gone."""
    Guild.objects.exists()


@health.check("p2p_connectivity", critical=False, every_seconds=1, component_type="component")
def p2p_connectivity() -> Result:
    """Count the peers that answer; to be alone is nothing wrong."""
    failed, connected = map([*peer.states.values()].count, ("failed", "connected"))
    output = f"{failed} of {failed + connected} peers have failed" if failed else ""
    return Result("warn" if failed else "pass", output, connected, "peers")


@health.check("guild_manager", component_type="component")
def guild_manager() -> Result:
    """Count the active guilds that have a member to run tasks."""
    active = Guild.objects.filter(state=Guild.State.active)
    count = active.filter(members__in=reputation.free_agents()).distinct().count()
    output = "" if count else "no active guild has a member that may run a task"
    return Result("pass" if count else "warn", output, count, "active guilds")


@health.check("payment_channels", component_type="component")
def payment_channels() -> None:
    """Open a channel, pay nothing through it, and take that back: whether channels can be written."""
    guild, executor = Guild.objects.first(), Agent.objects.first()
    if guild and executor:  # else `guild_manager` warns
        with transaction.atomic():
            Channel.objects.create(creator=guild, executor=executor).payments.create(amount_units=0)
            transaction.set_rollback(True)


@health.check("wasm_runtime", component_type="component")
def wasm_runtime() -> Result:
    """Run a program whose answer is known, and one that only its fuel ends."""
    if wasm.execute("rank", [1.0, 3.0, 2.0], 100).output != [1, 2, 0]:
        return Result("fail", "the program rank has given a wrong answer")
    if wasm.execute("spin", [], 1).exit_code != wasm.OUT_OF_FUEL:
        return Result("fail", "the program spin was not ended")
    return Result("pass", "", len(wasm.PROGRAMS), "programs")
