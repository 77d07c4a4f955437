"""zerostate, execution performance: tasks, the WASM programs that they run, what these cost, and their receipts."""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import heatmap, stat, time_series
from monitoring.dashboards.thresholds import above
from monitoring.dashboards.variables import SCOPE, instance, job

TASKS = "zerostate_tasks_total"
WASM = "zerostate_wasm_execution_duration_seconds"
MEMORY = "zerostate_wasm_memory_bytes"
EXITS = "zerostate_wasm_exits_total"
COST = "zerostate_task_cost_units"
FAILED = 'status="failed"'
# A task passes several statuses, so the whole is what has ended: completed or failed.
ENDED = 'status=~"completed|failed"'
FAILURES = above(0.05, 0.2)
SLOW = above(0.1, 1)

NOW = row(
    "Now",
    stat(
        "Tasks", "Tasks per second that were submitted.", SCOPE.rate(TASKS, 'status="submitted"'), unit="ops"
    ),
    stat(
        "Tasks that failed",
        "Share of the tasks that ended in failure, of all that ended.",
        SCOPE.share(TASKS, FAILED, ENDED),
        unit="percentunit",
        thresholds=FAILURES,
        runbook="ExecutionErrorRate",
    ),
    stat(
        "Programs",
        "WASM programs that were run per second.",
        SCOPE.rate(f"{WASM}_count"),
        unit="ops",
    ),
    stat(
        "Duration, p95",
        "95 of 100 programs ended within this time.",
        SCOPE.quantile(0.95, WASM),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Memory, p95",
        "95 of 100 programs used no more memory than this.",
        SCOPE.quantile(0.95, MEMORY),
        unit="bytes",
        thresholds=above(512 * 1024, 1024 * 1024),
    ),
    stat(
        "Cost, mean",
        "Units that a task has really cost.",
        SCOPE.mean(COST, 'type="actual"'),
        unit="short",
    ),
)

STATUSES = row(
    "How tasks go",
    time_series(
        "Tasks by status",
        "Tasks per second that reached a status. Submitted far above completed: tasks pile up.",
        Query(SCOPE.rate(TASKS, by="status"), "{{status}}"),
        unit="ops",
    ),
    time_series(
        "Share of tasks that failed",
        "Of all tasks that ended. It is 0 while none has failed.",
        Query(SCOPE.share(TASKS, FAILED, ENDED, by="job"), "{{job}}"),
        unit="percentunit",
        thresholds=FAILURES,
        runbook="ExecutionErrorRate",
    ),
)

PROGRAMS = row(
    "WASM programs",
    time_series(
        "Duration",
        "Time to run a program, from its start to its end or its trap.",
        Query(SCOPE.quantile(0.5, WASM), "median"),
        Query(SCOPE.quantile(0.95, WASM), "p95"),
        Query(SCOPE.quantile(0.99, WASM), "p99"),
        unit="s",
        thresholds=SLOW,
    ),
    heatmap(
        "How durations spread",
        "How many programs took how long. A dot leads to the trace of a task.",
        SCOPE.rate(f"{WASM}_bucket", by="le"),
        unit="s",
        exemplars=True,
    ),
    time_series(
        "Memory",
        "Memory of a program at its end.",
        Query(SCOPE.quantile(0.5, MEMORY), "median"),
        Query(SCOPE.quantile(0.99, MEMORY), "p99"),
        unit="bytes",
    ),
    time_series(
        "Programs by exit code",
        "Programs per second; 0 is success, anything else is a trap, or a limit that was reached.",
        Query(SCOPE.rate(EXITS, by="code"), "exit {{code}}"),
        unit="ops",
        stacked=True,
        runbook="ExecutionErrorRate",
    ),
)

COSTS = row(
    "Costs and receipts",
    time_series(
        "Cost of a task, mean",
        "Estimated before it ran, actual after it, capped where it reached its limit.",
        Query(SCOPE.mean(COST, by="type"), "{{type}}"),
        unit="short",
        width=8,
    ),
    time_series(
        "Cost of a task, p95",
        "95 of 100 tasks cost no more units than this.",
        Query(SCOPE.quantile(0.95, COST, by="type"), "{{type}}"),
        unit="short",
        width=8,
    ),
    time_series(
        "Receipts by status",
        "Receipts per second. Generated above verified: somebody does not sign, or does not check.",
        Query(SCOPE.rate("zerostate_receipts_total", by="status"), "{{status}}"),
        unit="ops",
        width=8,
    ),
)

DASHBOARD = dashboard(
    "zerostate-execution-performance",
    "zerostate: execution performance",
    "Tasks of zerostate and the WASM programs that they run: how many, how fast, how big, at what cost.",
    NOW,
    STATUSES,
    PROGRAMS,
    COSTS,
    tag="zerostate",
    variables=[job("zerostate_guild_total"), instance("zerostate_guild_total")],
)
