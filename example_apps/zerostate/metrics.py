"""The metrics of zerostate. They live in prometheus_client's own registry, which the metrics page shows."""

from prometheus_client import Counter, Gauge, Histogram

GUILDS = Gauge("zerostate_guild_total", "Guilds.", ["state"])
TASKS = Counter("zerostate_tasks", "Tasks that reached a status.", ["status"])
WASM_DURATION = Histogram("zerostate_wasm_execution_duration_seconds", "Time to run a program.")
TASK_COST = Histogram(
    "zerostate_task_cost_units", "Cost of a task.", ["type"], buckets=(1, 2, 5, 10, 20, 50, 100, 1000)
)
PAYMENTS = Counter("zerostate_payments", "Payments.", ["status"])
PAYMENT_AMOUNT = Histogram(
    "zerostate_payment_amount_units", "Amount of a payment.", buckets=(1, 10, 100, 1000, 10_000)
)
