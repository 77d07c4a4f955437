"""tokpulse, jobs and queues: what waits, how jobs end, how often they are tried, how long they take.

The metrics of jobs have a label `job` of their own. Prometheus keeps it where the scrape config says
`honor_labels: true`, so these panels do not choose by the job of the scrape config.
"""

from __future__ import annotations

from monitoring.dashboards.dashboard import dashboard, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import bar_gauge, heatmap, stat, time_series
from monitoring.dashboards.promql import Scope
from monitoring.dashboards.tables import Column, table
from monitoring.dashboards.thresholds import above
from monitoring.dashboards.tokpulse_variables import SERVICE, STORE
from monitoring.dashboards.variables import INSTANCE, SCOPE, values

ATTEMPTS = "tokpulse_job_attempts_total"
SIZE = "tokpulse_job_queue_size"
DURATION = "tokpulse_job_processing_duration_seconds"
DEPTH = "tokpulse_webhook_queue_depth"
FAILED = 'status=~"retried|dead"'
SERVED = Scope((INSTANCE,))
JOBS = Scope((INSTANCE, 'storeId=~"$store"', 'job=~"$kind"'))
FAILURES = above(0.05, 0.2)
SLOW = above(1, 5)
LONG = above(100, 1000)

NOW = row(
    "Now",
    stat(
        "Waiting",
        "Jobs that wait for a worker.",
        f"sum ({SCOPE.highest(SIZE, by='jobType')})",
        unit="short",
        thresholds=LONG,
        nothing="no queue",
        width=6,
    ),
    stat("Attempts", "Attempts per second to do a job.", JOBS.rate(ATTEMPTS), unit="ops", width=6),
    stat(
        "Attempts that failed",
        "Share of the attempts that have failed. A job is tried again, later and later.",
        JOBS.share(ATTEMPTS, FAILED),
        unit="percentunit",
        thresholds=FAILURES,
        width=6,
    ),
    stat(
        "Duration, p95",
        "95 of 100 attempts ended within this time.",
        JOBS.quantile(0.95, DURATION),
        unit="s",
        thresholds=SLOW,
        width=6,
    ),
)

QUEUES = row(
    "Queues",
    time_series(
        "Queue size by type",
        "Jobs that wait. It rises steadily: the workers are too few, too slow, or gone.",
        Query(SCOPE.highest(SIZE, by="jobType"), "{{jobType}}"),
        unit="short",
        thresholds=LONG,
    ),
    time_series(
        "Webhooks that wait, by topic",
        "The part of the queue that are webhooks.",
        Query(SCOPE.highest(DEPTH, by="topic"), "{{topic}}"),
        unit="short",
        thresholds=LONG,
    ),
)

ENDS = row(
    "How attempts go",
    time_series(
        "Attempts by status",
        "Attempts per second, by how they ended: ok, retried (it comes again), dead (it does not).",
        Query(JOBS.rate(ATTEMPTS, by="job, status"), "{{job}} {{status}}"),
        unit="ops",
        stacked=True,
    ),
    time_series(
        "Share that failed, by job",
        "It is 0 while none has failed.",
        Query(JOBS.share(ATTEMPTS, FAILED, by="job"), "{{job}}"),
        unit="percentunit",
        thresholds=FAILURES,
    ),
    time_series(
        "Duration by job, p95",
        "95 of 100 attempts of a job ended within this time.",
        Query(JOBS.quantile(0.95, DURATION, by="job"), "{{job}}"),
        unit="s",
        thresholds=SLOW,
        width=8,
    ),
    heatmap(
        "How durations spread",
        "How many attempts took how long.",
        JOBS.rate(f"{DURATION}_bucket", by="le"),
        unit="s",
        width=8,
    ),
    bar_gauge(
        "Attempts by store",
        "Attempts over the time range: who keeps the workers busy.",
        Query(JOBS.increase(ATTEMPTS, by="storeId"), "{{storeId}}"),
        unit="short",
        width=8,
    ),
    table(
        "Jobs and stores",
        "Each job of each store: attempts, failures, duration.",
        Column("Attempts", JOBS.rate(ATTEMPTS, by="job, storeId"), "ops"),
        Column("Failed", JOBS.share(ATTEMPTS, FAILED, by="job, storeId"), "percentunit", FAILURES),
        Column("p95", JOBS.quantile(0.95, DURATION, by="job, storeId"), "s", SLOW),
    ),
)

DASHBOARD = dashboard(
    "tokpulse-jobs-queues",
    "tokpulse: jobs and queues",
    "The queue of tokpulse and its workers: what waits, how attempts end, how long they take.",
    NOW,
    QUEUES,
    ENDS,
    tag="tokpulse",
    variables=[
        *SERVICE,
        STORE,
        values("job", "Kind of job", "What a worker does.", SERVED.series(ATTEMPTS), name="kind"),
    ],
)
