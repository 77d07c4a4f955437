"""A worker of the queue, a process of its own: `python -m example_apps.tokpulse.worker [--requeue-dead]`.

`observer.start()` gives it logs, traces and metrics as the app has them; `continue_trace` goes on with the request that
has made a job. Its metrics are on the app's page, because both name one group (telemetry.py).
"""

import json
import logging
import signal
import sys
from threading import Event

from opentelemetry import trace

from example_apps.tokpulse import queue, storage, telemetry, webhooks
from obs_middleware import bind

PAUSE_SECONDS = 0.05  # of a worker that finds nothing to do
HANDLERS = {queue.PROCESS: webhooks.process, queue.RECOMMEND: webhooks.recommend}

logger = logging.getLogger("example_apps.tokpulse.worker")  # `__name__` is `__main__` here
tracer = trace.get_tracer(__name__)


def main() -> None:
    """Work until SIGTERM or Ctrl-C; the job under way is done first."""
    storage.create()
    telemetry.observer.start()
    is_over = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    pause_seconds = 0.0
    while not is_over.wait(pause_seconds):
        try:
            pause_seconds = 0.0 if work() else PAUSE_SECONDS
        except Exception:  # the database is away or locked: it may come back
            logger.exception("worker can't reach its queue")
            pause_seconds = 1.0
    telemetry.observer.close()


def work() -> bool:
    """Run the next job; False if there is none."""
    job = queue.take()
    if job is not None:
        with telemetry.observer.continue_trace(json.loads(job.headers)) as request:
            bind(requestId=request.request_id, storeId=job.store_id, orgId=job.org_id)
            bind(job=job.type, attempt=job.attempts)
            status = run(job)
            telemetry.JOB_ATTEMPTS.labels(job.type, status, job.store_id).inc()
            if job.type == queue.PROCESS and status != "retried":
                telemetry.webhook_ended(job.topic, job.store, "ok" if status == "ok" else "failed")
    return job is not None


def run(job: queue.Job) -> str:
    """Run a job as a span of its request; one that fails comes again, or is dead."""
    name, kind = f"job {job.type}", trace.SpanKind.CONSUMER
    about = {"job.id": str(job.id), "job.attempt": str(job.attempts), "store.id": job.store_id}
    span = tracer.start_as_current_span(name, kind=kind, attributes=about)
    try:
        with span, telemetry.metrics.timed(telemetry.JOB_DURATION.labels(job.type, job.store_id)):
            HANDLERS[job.type](job)
    except Exception:
        status = "retried" if queue.put_off(job) else "dead"
        logger.exception("job failed", extra={"status": status})
        return status
    logger.info("job done")
    return "ok"


if __name__ == "__main__":
    if sys.argv[1:] == ["--requeue-dead"]:
        print(f"{queue.requeue_dead()} dead jobs wait again")
    else:
        main()
