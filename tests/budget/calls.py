"""Count the function calls of a request, Python's and C's, as `sys.setprofile` tells them.

What is ours is the difference to the same app without us, for a request like those before it. It is the same each time,
but for the event loop and for threads, whose work depends on who comes first. So what the modules of `_SCHEDULING` do
for themselves is not counted. A coroutine that goes on after it has waited is not counted again, because how often it
waits depends on that too. Nor are other threads: Django's `sync_to_async` and the exporter have their own.
"""

from __future__ import annotations

import dis
import gc
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import CO_COROUTINE
from statistics import mode
from types import CodeType, FrameType
from typing import Any

from tests.apps import probe
from tests.budget.driven import BY_NAME, Visit, make_all
from tests.conformance.front_ends import FrontEnd

WARM_UP = 20
REPEATS = 20

Pairs = Counter[tuple[str, str]]  # how often a function has called another

_SCHEDULING = (
    "asyncio.",
    "concurrent.futures.",
    "obs_middleware.metrics.event_loops.",  # a timer of the loop, which has no part in a request
    "selectors.",
    "threading.",
    "weakref.",
    "_weakrefset.",
)


@dataclass
class Calls:
    """The calls that one request costs."""

    ours: int
    repeats: list[int]  # of all calls, the app's too
    callers: list[tuple[str, int]]  # which functions made the most of ours
    callees: list[tuple[str, int]]  # which were called most

    @property
    def is_steady(self) -> bool:
        """Tell whether most repeats agree.

        A few may hit upon a new second, for which something is made anew, or another thread may be the last to hold
        what this one has made.
        """
        return self.repeats.count(mode(self.repeats)) >= 0.75 * len(self.repeats)


def count(name: str, target: bytes, chunks: int) -> Calls:
    """Count what a request for the target costs on this front end."""
    probe.CHUNK_SECONDS, probe.CHUNKS = 0, (b"chunk",) * chunks  # type: ignore[assignment]
    front_end = BY_NAME[name]
    gc.disable()  # it would run finalizers of former requests in the middle of this one
    bare = _pairs(front_end, front_end.make_bare_app(), target)
    observed = _pairs(front_end, front_end.make_app(None), target)
    repeats = [pairs.total() for pairs in observed]
    return Calls(
        ours=mode(repeats) - mode(pairs.total() for pairs in bare),
        repeats=repeats,
        callers=_most(observed[-1], bare[-1], 0),
        callees=_most(observed[-1], bare[-1], 1),
    )


def _pairs(front_end: FrontEnd, app: Any, target: bytes) -> list[Pairs]:
    profile = _Profile()

    def visits() -> Iterator[Visit]:
        for _ in range(WARM_UP + REPEATS):
            yield Visit(target)

    make_all(front_end, app, visits(), around=profile)
    return profile.all_pairs[WARM_UP:]


class _Profile:
    """Count the calls in each of its blocks."""

    def __init__(self) -> None:
        self.all_pairs: list[Pairs] = []

    def __enter__(self) -> None:
        self.all_pairs.append(Counter())
        sys.setprofile(self._note)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "call":
            caller, callee = "" if frame.f_back is None else _name(frame.f_back), _name(frame)
            if callee.startswith(_SCHEDULING) or _goes_on(frame):
                return
        elif event == "c_call":
            caller, callee = _name(frame), f"{function.__qualname__}()"
            if caller.startswith(_SCHEDULING):
                return
        else:
            return
        self.all_pairs[-1][caller, callee] += 1


def _goes_on(frame: FrameType) -> bool:
    """Tell whether this is a coroutine that has waited, not a call."""
    return bool(frame.f_code.co_flags & CO_COROUTINE) and frame.f_lasti > _start(frame.f_code)


@cache
def _start(code: CodeType) -> int:
    """Return where the instruction pointer stands when a coroutine starts; before Python 3.11 on none."""
    return next((found.offset for found in dis.get_instructions(code) if found.opname == "RESUME"), -1)


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{frame.f_globals.get('__name__')}.{getattr(code, 'co_qualname', code.co_name)}"


def _most(observed: Pairs, bare: Pairs, end: int) -> list[tuple[str, int]]:
    ours: Counter[str] = Counter()
    for pair in observed.keys() | bare.keys():
        ours[pair[end]] += observed[pair] - bare[pair]
    return ours.most_common(15)
