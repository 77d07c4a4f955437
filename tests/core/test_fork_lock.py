"""What a thread of the parent held at a fork holds up nobody in the child."""

from __future__ import annotations

import os

import pytest

from obs_middleware.fork_lock import ForkLock
from tests.core.support import forks_among_threads, python

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
FORKS = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}  # Python 3.12 and later warn of a fork among threads

FORK_WHILE_HELD = """
import logging, os, threading, time
from prometheus_client import CollectorRegistry
from obs_middleware import Observer, RequestInfo
from obs_middleware.metrics import adapter_metrics, collection
logging.disable(logging.CRITICAL)
own = Observer(registry=CollectorRegistry(), tenant_header="X-Shop")
orders = own.metrics.counter("orders", "Orders.", ["plan"])
held, is_over = threading.Event(), threading.Event()
def hold():
    with {lock}:
        held.set()
        is_over.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    {work}
    os._exit(0)
deadline, done = time.monotonic() + 40, 0
while not done and time.monotonic() < deadline:
    done, status = os.waitpid(child, os.WNOHANG)
    time.sleep(0.01)
if not done:
    os.kill(child, 9)
print(status if done else "hangs")
is_over.set()
"""


@needs_fork
@pytest.mark.parametrize(
    ("lock", "work"),
    [
        ("own.events._keeping", "own.events.record('joined')"),
        ("orders.bound._adding", "orders.labels('free').inc()"),
        ("collection.declaring", "own.metrics.counter('sales', 'Sales.').inc()"),
        ("own.gateway._metrics.instruments.refused._adding", "own.gateway._metrics.count_refusal('token')"),
        ("own.gateway._tenancy._adding", "own.gateway._tenancy.labels('acme')"),
        ("own.gateway._metrics.instruments.lock", "own.metrics.snapshot()"),
        ("own.gateway._starting", "own.start()"),
        (
            "adapter_metrics._declaring",
            "adapter_metrics.AdapterMetrics(own.registry, print).counter('a', 'A.', ())(1)",
        ),
    ],
)
def test_child_goes_on_where_a_thread_of_its_parent_held_the_lock(lock: str, work: str) -> None:
    assert python(FORK_WHILE_HELD.format(lock=lock, work=work), env=FORKS).strip() == "0"


@forks_among_threads
@needs_fork
def test_child_records_events_whatever_the_parents_threads_do() -> None:
    code = """
import logging, os, threading, time
from prometheus_client import CollectorRegistry
from obs_middleware import Observer
logging.disable(logging.CRITICAL)
own = Observer(registry=CollectorRegistry())
def record():
    while True:
        own.events.record("tick")
for _ in range(2):
    threading.Thread(target=record, daemon=True).start()
time.sleep(0.05)
for _ in range(30):
    child = os.fork()
    if not child:
        own.events.record("tick")
        os._exit(0)
    deadline, done = time.monotonic() + 40, 0
    while not done:
        assert time.monotonic() < deadline, os.kill(child, 9)
        time.sleep(0.01)
        done, _ = os.waitpid(child, os.WNOHANG)
"""
    python(code, env=FORKS)


def test_thread_that_holds_a_lock_may_take_it_again() -> None:
    lock = ForkLock()
    with lock, lock:
        pass
    with lock:
        pass


def test_block_that_has_forked_ends_in_the_child_too() -> None:
    lock = ForkLock()
    with lock:
        lock.renew()
    with lock:
        pass
