"""How much memory is kept of what clients send: in blocks, which cost nothing to count and are exact.

A block holds one object of up to 512 bytes; whatever is kept of a request needs one at least.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

from tests.budget.driven import BY_NAME, Visit, make_all
from tests.budget.garbage import flush_all


def grown(name: str, first: int, many: int) -> int:
    """Return the blocks of memory that are taken by `many` requests never seen before, after the `first` ones."""
    front_end = BY_NAME[name]
    blocks: list[int] = []

    def visits() -> Iterator[Visit]:
        for numbers in range(first), range(first, first + many):
            yield from map(_never_seen, numbers)
            blocks.append(_in_use())

    make_all(front_end, front_end.make_app(None), visits())
    return blocks[1] - blocks[0]


def _never_seen(number: int) -> Visit:
    """Return a request that differs from all others in all that a client can choose."""
    path = b"/items/%d" if number % 4 == 0 else b"/nothing/%d"
    text = b"%d" % number
    return Visit(
        target=path % number + b"?page=" + text,
        method=b"VERB" + text if number % 4 == 1 else b"GET",
        host=b"h" + text + b".example.org",
        headers=(
            (b"user-agent", b"agent/" + text),
            (b"x-request-id", b"request-" + text),
            (b"x-correlation-id", b"correlation-" + text),
            (b"traceparent", b"00-%032x-%016x-00" % (number + 1, number + 1)),
            (b"tracestate", b"vendor=" + text),
            (b"baggage", b"user=" + text),
            (b"x-forwarded-for", b"203.0.113." + text),
            (b"x-header-" + text, text),
        ),
    )


def _in_use() -> int:
    flush_all()
    gc.collect()
    return sys.getallocatedblocks()
