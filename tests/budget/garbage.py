"""What requests leave behind: objects that the collector counts, and cycles that wait for it."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextvars import Context
from dataclasses import dataclass, field, replace
from types import FrameType, FunctionType, MethodType
from typing import Any

from opentelemetry import trace

from obs_middleware.queue import flush
from tests.apps import probe
from tests.budget.alone import BATCH, EXPORTS, HANGS
from tests.budget.driven import BY_NAME, Visit, make_all
from tests.conformance.front_ends import FrontEnd

KINDS = {
    "answered": Visit(b"/items/1"),
    "not found": Visit(b"/nothing"),
    "raised": Visit(b"/boom"),
    "handled": Visit(b"/handled"),
    "streamed": Visit(b"/stream"),
    "broken off": Visit(b"/stream/broken"),
    "left": Visit(b"/stream/long", leaves=True),
}
SAMPLED = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
COUNTED = ("answered", "not found", "raised", "streamed")  # the others are slow, and their cycles are enough
REPEATS = 3  # of each, sampled and not
ROUNDS = 5  # at most
NEXT_TO_NONE = 0.01  # objects left by a request; no further round is needed then
WARM_UP = 50


@dataclass
class Left:
    """What requests of one kind have left behind."""

    cycles: list[str] = field(default_factory=list)  # what each is made of
    garbage: int = 0  # objects that only the collector could free
    counted: float = 0.0  # by how much a request brings the next collection nearer


def look(name: str, many: int, kinds: Collection[str]) -> dict[str, tuple[Left, Left]]:
    """Return what each of these kinds of request leaves behind, of the bare app and of the observed one.

    Cycles are looked for after requests some of which are sampled; counted are `many` that are not.
    """
    probe.CHUNK_SECONDS, probe.LONG_PAUSE_SECONDS = 0, 0
    front_end = BY_NAME[name]
    gc.freeze()  # the modules: the collector looks at what comes from now on alone, in a tenth of the time
    bare = _left(front_end, front_end.make_bare_app(), many, kinds)
    observed = _left(front_end, front_end.make_app(None), many, kinds)
    return {kind: (bare[kind], observed[kind]) for kind in kinds}


def _left(front_end: FrontEnd, app: Any, many: int, kinds: Collection[str]) -> dict[str, Left]:
    found = {kind: Left() for kind in kinds}

    def visits() -> Iterator[Visit]:
        gc.disable()
        for kind in kinds:
            visit = KINDS[kind]
            both = [visit, replace(visit, headers=(*visit.headers, SAMPLED))] * REPEATS
            yield from both
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            yield from both
            found[kind].garbage = gc.collect()
            found[kind].cycles = [_described(cycle) for cycle in cycles(gc.garbage)]
            gc.set_debug(0)
            gc.garbage.clear()
            if kind in COUNTED:
                yield from [visit] * many
                # What is kept of requests is kept in each round, so the least counts. What a thread has in hand at a
                # moment is not kept, nor is what the app itself lets go of at once after many requests.
                rounds: list[float] = []
                while len(rounds) < ROUNDS and min(rounds, default=1) > NEXT_TO_NONE:
                    before = _count()
                    yield from [visit] * many
                    rounds.append((_count() - before) / many)
                found[kind].counted = min(rounds)

    make_all(front_end, app, visits())
    return found


def _count() -> int:
    """Return how many objects the collector counts.

    An object that comes out of one of the interpreter's free lists is not counted, and how full these lists are depends
    on which thread has run last. So all of them are filled first. The thread in which asgiref ends a request's executor
    has objects too, until it has ended.
    """
    for thread in threading.enumerate():
        if thread.name.endswith("(join)"):
            thread.join(timeout=30)
    dropped: list[object] = [([], {}, Context()) for _ in range(300)]
    dropped += [tuple(range(length)) for length in range(1, 21) for _ in range(2001)]
    del dropped
    return gc.get_count()[0]


def cycles(objects: Iterable[Any]) -> list[list[Any]]:
    """Return the objects that reach themselves, those that reach each other together (Tarjan's algorithm)."""
    known = {id(thing): thing for thing in objects}
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_ones: list[int] = []
    found = []
    for root in known:
        path = [] if root in number else [(root, iter(_referents(known, root)))]
        while path:
            here, referents = path[-1]
            if here not in number:
                number[here] = lowest[here] = len(number)
                open_ones.append(here)
            there = next(referents, None)
            if there is not None:
                if there not in number:
                    path.append((there, iter(_referents(known, there))))
                elif there in open_ones:
                    lowest[here] = min(lowest[here], number[there])
                continue
            path.pop()
            if path:
                lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[here])
            if lowest[here] == number[here]:
                start = open_ones.index(here)
                members, open_ones[start:] = open_ones[start:], []
                if len(members) > 1 or here in _referents(known, here):
                    found.append([known[member] for member in members])
    return found


def _referents(known: dict[int, Any], thing: int) -> list[int]:
    return [id(there) for there in gc.get_referents(known[thing]) if id(there) in known]


def _described(cycle: list[Any]) -> str:
    counts = Counter(_name(thing) for thing in cycle)
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in sorted(counts.items()))


def _name(thing: Any) -> str:
    kind = type(thing)  # and no isinstance(): a proxy would look for what it stands for
    if kind is FrameType:
        return f"frame of {thing.f_globals.get('__name__')}.{thing.f_code.co_name}"
    name = f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} {thing.__module__}.{thing.__qualname__}" if kind in (FunctionType, MethodType) else name


@dataclass
class Held:
    """How many objects the collector knows."""

    before: int
    after: int  # sampled requests
    after_more: int  # as many again
    flushed: int


def held(name: str, many: int, *, hangs: bool = False) -> Held:
    """Count what sampled requests hold while the exporter drops spans or hangs, and once it has let go of them."""
    front_end = BY_NAME[name]
    counts: list[int] = []

    def visits() -> Iterator[Visit]:
        visit = KINDS["answered"]
        yield from [visit] * WARM_UP
        counts.append(_flushed())
        if hangs:
            EXPORTS.clear()
            yield from [visit] * BATCH
            flush(timeout_seconds=60)
            assert HANGS.wait(60), "no batch was exported"
        for _ in range(2):
            yield from [visit] * many
            flush(timeout_seconds=60)
            counts.append(_tracked())
        EXPORTS.set()
        counts.append(_flushed())

    make_all(front_end, front_end.make_app(None), visits())
    return Held(*counts)


def _flushed() -> int:
    flush_all()
    return _tracked()


def flush_all() -> None:
    """Have all recorded and exported that waits for it."""
    flush(timeout_seconds=60)
    provider: Any = trace.get_tracer_provider()
    provider.force_flush()


def _tracked() -> int:
    gc.collect()
    return len(gc.get_objects())
