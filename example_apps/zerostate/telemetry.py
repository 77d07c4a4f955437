"""The metrics of zerostate. `OBS_METRICS_PREFIX` in the settings puts `zerostate_` before each name."""

from functools import partial
from typing import Any

from django.db.models import Avg, Count, Sum
from django.utils.timezone import now
from opentelemetry import trace

from example_apps.zerostate.models import Agent, Channel, Guild
from obs_django import metrics

UNITS = (1, 2, 5, 10, 20, 50, 100, 1000, 10_000)
FAST = (1e-4, 1e-3, 0.01, 0.1, 1, 10)
PAGES = (2.0**16, 2.0**18, 2.0**20)

counter = metrics.counter
histogram = metrics.histogram
gauge = partial(metrics.gauge, multiprocess_mode="livemostrecent")  # all workers know the same

P2P_CONNECTIONS = metrics.gauge("p2p_connections", "To peers.", ["state"], multiprocess_mode="livesum")
P2P_PEERS = metrics.gauge("p2p_peers", "Known peers.", ["state"], multiprocess_mode="livemax")
P2P_BANDWIDTH = counter("p2p_bandwidth", "Bytes of messages.", ["direction"], unit="bytes")
P2P_MESSAGES = counter("p2p_messages", "Messages to peers.", ["type", "status"])
P2P_DURATION = histogram("p2p_operation_duration_seconds", "Time.", ["operation"], buckets=FAST)
GUILDS = gauge("guild_total", "Guilds.", ["state"], lint=False)  # no counter, but dashboards have this name
GUILDS_CREATED = counter("guild_creations", "Guilds created.")
TASKS = counter("tasks", "Tasks that reached a status.", ["status"])
TASK_COST = histogram("task_cost_units", "Cost of a task.", ["type"], buckets=UNITS)
RECEIPTS = counter("receipts", "Receipts that reached a status.", ["status"])
WASM_DURATION = histogram("wasm_execution_duration_seconds", "Time of a program.", buckets=FAST)
WASM_MEMORY = histogram("wasm_memory_bytes", "Memory of a program at its end.", buckets=PAGES)
WASM_EXITS = counter("wasm_exits", "Programs that ended, by exit code.", ["code"])
CHANNELS = gauge("channels", "Payment channels.", ["state"])
CHANNEL_BALANCE = gauge("channel_balance_units", "Units in channels.", ["party"])
PAYMENTS = counter("payments", "Payments.", ["status"])
PAYMENT_AMOUNT = histogram("payment_amount_units", "Amount of a payment.", buckets=UNITS)
SETTLEMENT_DURATION = histogram("settlement_duration_seconds", "Time to settle.", buckets=FAST)
SETTLEMENT_AMOUNT = histogram("settlement_amount_units", "Units paid out.", buckets=UNITS)
REPUTATION_SCORE = gauge("reputation_score", "Mean score of all agents, 0 to 1.")
REPUTATION_TASKS = counter("reputation_tasks", "Tasks that count for a reputation.", ["result"])
BLACKLISTED = gauge("blacklisted_executors", "Agents that get no task for a while.")


def span(name: str, **attributes: Any) -> Any:
    return trace.get_tracer(__name__).start_as_current_span(name, attributes=attributes)


@metrics.on_collect
def read_database() -> None:
    """Read before each scrape what the database knows: right over all workers, and after a restart."""
    for found, model in ((GUILDS, Guild), (CHANNELS, Channel)):
        counts = dict(model.objects.values_list("state").annotate(Count("pk")))
        for state in model.State.values:
            found.labels(state).set(counts.get(state, 0))
    for party in ("creator", "executor"):
        units = Channel.objects.aggregate(sum=Sum(f"{party}_units", default=0))["sum"]
        CHANNEL_BALANCE.labels(party).set(units)
    REPUTATION_SCORE.set(Agent.objects.aggregate(mean=Avg("score", default=1.0))["mean"])
    BLACKLISTED.set(Agent.objects.filter(blacklisted_until__gt=now()).count())
