"""The health of zerostate: one check for each of its parts, and a group for what holds its data.

Each check runs in a thread that it keeps; the adapter closes its connection to the database after each run. The check
`database:default` is there without a line of ours. Details at `/health/ready` are for who has `OBS_HEALTH_TOKEN`.
"""

from pathlib import Path

from django.conf import settings
from django.db import transaction

from example_apps.zerostate import tasks, wasm
from example_apps.zerostate.models import Guild
from obs_django import get_observer
from obs_django.ready_made import django_migrations
from obs_middleware.health import Result
from obs_middleware.health.ready_made import disk_space, http_url

health = get_observer().health
DATA = (
    "data"  # a group of its own, answered at /health/data; readiness asks only those that are in "ready" too
)


def alone() -> Result:
    """Tell that there is nobody to connect to, and that nothing is wrong with that."""
    return Result(observed_value=0, observed_unit="peers")


# A task is done and paid also where nobody can be told: degraded, not down.
nodes = http_url(f"{settings.UTILITYFOG_URL}/health/live") if settings.UTILITYFOG_URL else alone
health.add("p2p_connectivity", nodes, critical=False, every_seconds=5)

# Reads the graph of all migrations, so once a minute.
health.add("migrations", django_migrations(), every_seconds=60, groups=("ready", DATA))

folder = Path(settings.DATABASES["default"]["NAME"]).absolute().parent
health.add("disk", disk_space(str(folder)), every_seconds=30, groups=DATA)


@health.check("storage", groups=("ready", DATA), component_type="datastore")
def storage() -> None:
    """Read a table, because SQLite answers `SELECT 1` also where the tables are gone."""
    Guild.objects.exists()


@health.check("guild_manager", component_type="component")
def guild_manager() -> Result:
    """Count the guilds that may run tasks.

    No manager stands between the views and the table of guilds yet, so the table is asked.
    """
    active = Guild.objects.filter(state=Guild.State.ACTIVE).count()
    if not active:
        return Result("warn", output="no guild is active: no task can be run")
    return Result(observed_value=active, observed_unit="active guilds")


@health.check("payment_channels", component_type="component")
def payment_channels() -> None:
    """Make a payment of nothing, and take it back: whether balances and payments can be written.

    There are no channels yet: a guild pays from its balance.
    """
    payer = Guild.objects.first()
    if payer is not None:  # else `guild_manager` warns
        with transaction.atomic():
            tasks.transfer(payer, payee="health", amount_units=0)
            transaction.set_rollback(True)


@health.check("wasm_runtime", component_type="component")
def wasm_runtime() -> Result:
    """Run a program whose answer is known, and one that must trap.

    The programs are functions of Python yet, which stand for WASM modules.
    """
    if wasm.PROGRAMS["rank"]([1.0, 3.0, 2.0]) != [1, 2, 0]:
        return Result("fail", output="the program rank has given a wrong answer")
    try:
        wasm.PROGRAMS["mean"]([])
    except wasm.Trap:
        return Result(observed_value=len(wasm.PROGRAMS), observed_unit="programs")
    return Result("fail", output="the program mean has not trapped")
