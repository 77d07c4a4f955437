"""Python runtime and workers: event loops, thread pools, garbage collector, memory, workers, telemetry, health."""

from __future__ import annotations

from monitoring.dashboards import health, self_telemetry
from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import stat, time_series
from monitoring.dashboards.promql import or_zero
from monitoring.dashboards.thresholds import above, any_is_bad, below
from monitoring.dashboards.variables import SCOPE, instance, job

WORKER = "{{job}} {{instance}} {{worker}}"
BY_WORKER = "job, instance, worker"

NOW = row(
    "Now",
    stat(
        "Workers",
        "Processes that serve, over all instances that are chosen.",
        f"count ({SCOPE.series('process_start_time_seconds')})",
        unit="short",
    ),
    stat(
        "Workers started",
        "Workers that were started in the last hour. A few are a release; many are a crash loop.",
        f"count (time() - {SCOPE.series('process_start_time_seconds')} < 3600) or vector(0)",
        unit="short",
        runbook="RestartLoop",
    ),
    stat(
        "Longest lag",
        "How late the slowest event loop was, in the last minute or two: it was blocked as long.",
        f"max ({SCOPE.series('asyncio_event_loop_lag_max_seconds')})",
        unit="s",
        thresholds=above(0.1, 0.25),
        nothing="no loop",
    ),
    stat(
        "Waiting for a thread",
        "Functions that wait for a thread of a pool.",
        SCOPE.total("python_thread_pool_waiting_tasks"),
        unit="short",
        thresholds=above(1, 10),
        nothing="no pool",
    ),
    stat(
        "Internal errors",
        "Failures inside obs-middleware per second. No request fails for them, and each is logged once a minute.",
        or_zero(SCOPE.rate("obs_internal_errors_total")),
        unit="ops",
        thresholds=any_is_bad(),
        runbook="InternalErrors",
    ),
    stat(
        "Fast paths on",
        "Share of the compiled and other fast ways that are taken. Which one is off, and why, a line at start says.",
        f"avg ({SCOPE.series('obs_fast_path')})",
        unit="percentunit",
        thresholds=below(1, 0.5),
        runbook="FastPathOff",
    ),
)

LOOPS = row(
    "Event loops and thread pools",
    time_series(
        "Event loop lag, p99",
        "How much later than due a timer of the loop is called. All requests of the loop are late by it.",
        Query(SCOPE.quantile(0.99, "asyncio_event_loop_lag_seconds", by=BY_WORKER), WORKER),
        unit="s",
        thresholds=above(0.1, 0.25),
        width=8,
    ),
    time_series(
        "Event loop lag, longest",
        "The longest lag of the last minute or two, also one that still lasts.",
        Query(
            f"max by ({BY_WORKER}) ({SCOPE.series('asyncio_event_loop_lag_max_seconds')})",
            WORKER,
        ),
        unit="s",
        thresholds=above(0.1, 0.25),
        width=8,
    ),
    time_series(
        "Tasks",
        "Tasks of asyncio that have not ended. It rises and never falls: tasks are lost.",
        Query(SCOPE.total("asyncio_tasks", by=BY_WORKER), WORKER),
        unit="short",
        width=8,
    ),
    time_series(
        "Thread pools, in use",
        "Share of the threads of a pool that run a function. At 1, sync views wait for each other.",
        Query(
            f"{SCOPE.total('python_thread_pool_active_threads', by=f'{BY_WORKER}, thread_pool_name')}\n"
            f"  / {SCOPE.total('python_thread_pool_max_threads', by=f'{BY_WORKER}, thread_pool_name')}",
            f"{WORKER} {{{{thread_pool_name}}}}",
        ),
        unit="percentunit",
        thresholds=above(0.8, 1),
        maximum=1,
    ),
    time_series(
        "Thread pools, waiting",
        "Functions that wait for a thread of a pool.",
        Query(
            SCOPE.total("python_thread_pool_waiting_tasks", by=f"{BY_WORKER}, thread_pool_name"),
            f"{WORKER} {{{{thread_pool_name}}}}",
        ),
        unit="short",
        thresholds=above(1, 10),
    ),
)

MEMORY = row(
    "Garbage collector, memory, processor, files",
    time_series(
        "Time stopped by the collector",
        "Share of the time in which collections have stopped all threads of a worker.",
        Query(SCOPE.rate("cpython_gc_duration_seconds_sum", by=BY_WORKER), WORKER),
        unit="percentunit",
        thresholds=above(0.02, 0.05),
        width=8,
    ),
    time_series(
        "Pauses of the collector, mean",
        "How long a collection stops all threads, by generation. The oldest generation takes longest.",
        Query(
            SCOPE.mean("cpython_gc_duration_seconds", by="job, cpython_gc_generation"),
            "{{job}} {{cpython_gc_generation}}",
        ),
        unit="s",
        thresholds=above(0.01, 0.1),
        width=8,
    ),
    time_series(
        "Objects collected",
        "Objects in cycles that the collector has freed per second. Many: requests leave cycles behind.",
        Query(SCOPE.rate("python_gc_objects_collected_total", by="job, instance"), "{{job}} {{instance}}"),
        unit="ops",
        width=8,
    ),
    time_series(
        "Resident memory",
        "Memory of each worker. It rises under steady traffic and never falls: a leak.",
        Query(SCOPE.total("process_resident_memory_bytes", by=BY_WORKER), WORKER),
        unit="bytes",
        width=8,
        runbook="MemoryExhausted",
    ),
    time_series(
        "Processor time",
        "Cores that a worker uses. One Python process uses little more than one.",
        Query(SCOPE.rate("process_cpu_seconds_total", by=BY_WORKER), WORKER),
        unit="cores",
        thresholds=above(0.8, 0.95),
        width=8,
    ),
    time_series(
        "Open files",
        "Share of the files and sockets that a process may open. At 1 it accepts no connection.",
        Query(
            f"{SCOPE.total('process_open_fds', by=BY_WORKER)} / {SCOPE.total('process_max_fds', by=BY_WORKER)}",
            WORKER,
        ),
        unit="percentunit",
        thresholds=above(0.7, 0.9),
        maximum=1,
        runbook="FileDescriptorsExhausted",
        width=8,
    ),
)

WORKERS = row(
    "Workers and their ages",
    time_series(
        "Workers by instance",
        "Processes that serve. Fewer than configured: one has died, and its server has started none.",
        Query(
            f"count by (job, instance) ({SCOPE.series('process_start_time_seconds')})",
            "{{job}} {{instance}}",
        ),
        unit="short",
    ),
    time_series(
        "Age of workers",
        "How long ago each worker was started. A saw: workers are replaced, or die.",
        Query(
            f"max by ({BY_WORKER}) (time() - {SCOPE.series('process_start_time_seconds')})",
            WORKER,
        ),
        unit="s",
        runbook="RestartLoop",
    ),
)

HEALTH = row("Health", health.components(SCOPE), health.checks(SCOPE), health.check_durations(SCOPE))

DASHBOARD = dashboard(
    "obs-runtime",
    "Python runtime and workers",
    "Event loops, thread pools, garbage collector, memory and workers of every service, its telemetry and its health.",
    NOW,
    LOOPS,
    MEMORY,
    WORKERS,
    self_telemetry.ROW,
    HEALTH,
    tag="runtime",
    variables=[job("telemetry_series"), instance("telemetry_series")],
)
