"""The metrics of zerostate. `OBS_METRICS_PREFIX` in the settings puts `zerostate_` before each name."""

from django.db.models import Count

from example_apps.zerostate.models import Guild
from obs_django import metrics

GUILDS = metrics.gauge(
    "guild_total",
    "Guilds.",
    ["state"],
    multiprocess_mode="livemostrecent",  # all workers read one database, so the newest number is right
    lint=False,  # only a counter should end in _total; the dashboards have this name
)
GUILDS_CREATED = metrics.counter("guild_creations", "Guilds created.")
TASKS = metrics.counter("tasks", "Tasks that reached a status.", ["status"])
TASK_COST = metrics.histogram(
    "task_cost_units", "Cost of a task.", ["type"], buckets=(1, 2, 5, 10, 20, 50, 100, 1000)
)
WASM_DURATION = metrics.histogram("wasm_execution_duration_seconds", "Time to run a program.")
WASM_EXITS = metrics.counter("wasm_exits", "Programs that ended, by exit code.", ["code"])
REPUTATION_TASKS = metrics.counter(
    "reputation_tasks", "Tasks that count for a guild's reputation.", ["result"]
)
PAYMENTS = metrics.counter("payments", "Payments.", ["status"])
PAYMENT_AMOUNT = metrics.histogram(
    "payment_amount_units", "Amount of a payment.", buckets=(1, 10, 100, 1000, 10_000)
)
P2P_MESSAGES = metrics.counter("p2p_messages", "Messages to the nodes of utilityfog.", ["type", "status"])
P2P_BANDWIDTH = metrics.counter("p2p_bandwidth", "Bytes of these messages.", ["direction"], unit="bytes")
P2P_DURATION = metrics.histogram("p2p_operation_duration_seconds", "Time of these messages.", ["operation"])


@metrics.on_collect
def count_guilds() -> None:
    """Count before each scrape what the database knows: right over all workers, and after a restart."""
    found = dict(Guild.objects.values_list("state").annotate(Count("pk")))
    for state in Guild.State.values:
        GUILDS.labels(state).set(found.get(state, 0))
