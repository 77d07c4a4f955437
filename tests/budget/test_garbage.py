"""Requests leave no work for the garbage collector; what sampled ones hold is bounded and let go of."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.budget.alone import BATCH, QUEUE, run_alone
from tests.budget.driven import BY_NAME
from tests.budget.garbage import COUNTED, KINDS, REPEATS, Held, Left, held, look

# The collector wakes up when there are 700 objects more than before (from Python 3.13 on 2000).
COUNTED_AT_MOST = 700 / 10_000  # for each request
TOLERANCE = 150  # objects, of caches that fill up; one kept of each request would make more
SPAN_OBJECTS = 20  # that one span in the exporter's queue holds at most; 15 on Python 3.10

every_front_end = pytest.mark.parametrize("name", BY_NAME)


@pytest.mark.parametrize("kind", KINDS)
@every_front_end
def test_we_add_no_cycle_to_those_of_the_app(name: str, kind: str) -> None:
    """Some frameworks leave cycles of their own, which may take frames of ours along."""
    bare, observed = _looked(name)[kind]
    for _ in range(3):
        if len(observed.cycles) > len(bare.cycles) + _chance(name):
            bare, observed = _looked_at(name, [kind])[kind]
    assert len(observed.cycles) <= len(bare.cycles) + _chance(name), set(observed.cycles) - set(bare.cycles)
    if not bare.cycles:
        assert not observed.cycles
        assert observed.garbage <= bare.garbage


def _chance(name: str) -> int:
    """Return how many cycles the app's threads may leave more or fewer; one of ours is there for each request."""
    return REPEATS - 1 if name == "django_asgi" else 0


@pytest.mark.parametrize("kind", COUNTED)
@every_front_end
def test_ten_thousand_unsampled_requests_cause_no_collection(name: str, kind: str) -> None:
    """Where the bare app causes none: its own cycles are its own."""
    bare, observed = _looked(name)[kind]
    if not bare.cycles or observed.garbage == bare.garbage:
        ours = observed.counted - bare.counted
        for _ in range(3):
            if ours >= COUNTED_AT_MOST:  # perhaps a thread of the app's has ended: what we leave shows again
                bare, observed = _looked_at(name, [kind])[kind]
                ours = observed.counted - bare.counted
        assert ours < COUNTED_AT_MOST, f"a request brings the next collection {ours:.2f} objects nearer"


@every_front_end
def test_sampled_requests_are_let_go_of(name: str) -> None:
    seen = run_alone(held, name, _many(name), ratio=1.0)
    assert abs(seen.flushed - seen.before) < TOLERANCE, seen


@pytest.mark.parametrize("name", ["asgi", "wsgi"])
def test_while_the_exporter_hangs_no_more_than_its_queue_is_held(name: str) -> None:
    seen: Held = run_alone(_held_by_a_hanging_exporter, name, QUEUE + BATCH, ratio=1.0)
    assert abs(seen.after_more - seen.after) < TOLERANCE, seen
    assert seen.after - seen.before < (QUEUE + BATCH) * SPAN_OBJECTS, seen
    assert abs(seen.flushed - seen.before) < TOLERANCE, seen


@cache
def _looked(name: str) -> dict[str, tuple[Left, Left]]:
    return _looked_at(name, list(KINDS))


def _looked_at(name: str, kinds: list[str]) -> dict[str, tuple[Left, Left]]:
    return run_alone(look, name, _many(name), kinds, ratio=0.0)


def _many(name: str) -> int:
    return 100 if name == "django_asgi" else 300  # whose requests take milliseconds each


def _held_by_a_hanging_exporter(*arguments: Any) -> Held:
    return held(*arguments, hangs=True)
