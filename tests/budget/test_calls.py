"""A request costs no more function calls of ours than the budget says: a deterministic measure of speed.

The budget is the highest count over the Pythons and the releases that are supported, which differ by few. To raise a
number says in the diff that requests have become slower; a number that has become too high wants to be lowered.
"""

from __future__ import annotations

from itertools import zip_longest

import pytest

from obs_middleware import _speedups
from tests.budget.alone import run_alone
from tests.budget.calls import Calls, count

# Calls of ours for one request with everything on, Python's and those that Python code makes of C: first where the
# request path is compiled, then in Python alone. `%` is how many traces are sampled.
BUDGET = {
    ("raw ASGI", "0 %"): (20, 73),
    ("raw ASGI", "100 %"): (55, 101),
    ("Starlette", "0 %"): (30, 83),
    ("Starlette", "100 %"): (65, 111),
    ("FastAPI", "0 %"): (26, 81),
    ("FastAPI", "100 %"): (62, 110),
    ("FastAPI, 100 chunks", "0 %"): (245, 297),
    ("FastAPI, 100 chunks", "100 %"): (278, 326),
    ("raw WSGI", "0 %"): (18, 62),
    ("raw WSGI", "100 %"): (49, 86),
    ("Flask", "0 %"): (15, 59),
    ("Flask", "100 %"): (46, 83),
    ("Django sync", "0 %"): (28, 68),
    ("Django sync", "100 %"): (59, 92),
    ("Django async", "0 %"): (53, 92),
    ("Django async", "100 %"): (84, 117),
}

_FRONT_ENDS = {
    "raw ASGI": "asgi",
    "Starlette": "starlette",
    "FastAPI": "fastapi",
    "FastAPI, 100 chunks": "fastapi",
    "raw WSGI": "wsgi",
    "Flask": "flask",
    "Django sync": "django_wsgi",
    "Django async": "django_asgi",
}


@pytest.mark.parametrize("way", ["compiled", "python"])
@pytest.mark.parametrize(("app", "sampled"), BUDGET)
def test_a_request_costs_what_the_budget_says(app: str, sampled: str, way: str) -> None:
    is_compiled = way == "compiled"
    if is_compiled and not _speedups.is_in_use():
        pytest.skip("the request path is not compiled here: what it costs is not counted")
    budget = BUDGET[app, sampled][0 if is_compiled else 1]
    target = b"/stream" if "chunks" in app else b"/items/1"
    ratio = int(sampled.split()[0]) / 100
    for _ in range(3):  # on a slow machine many requests hit upon a new second
        calls: Calls = run_alone(count, _FRONT_ENDS[app], target, 100, ratio=ratio, is_compiled=is_compiled)
        if calls.is_steady:
            break
    assert calls.is_steady, f"the same request does not make the same calls: {calls.repeats}"
    ours, what = calls.ours, f"{app}, {sampled} sampled: {calls.ours} calls of ours"
    assert ours <= budget, f"{what}, {ours - budget} more than the budget\n{_table(calls)}"
    assert ours >= min(budget * 0.85, budget - 6), f"{what}, the budget is {budget}: lower it in {__name__}"


def _table(calls: Calls) -> str:
    rows = [f"{'calls made by':>70}    calls of"]
    for (caller, made), (callee, received) in zip_longest(calls.callers, calls.callees, fillvalue=("", 0)):
        rows.append(f"{caller[-64:]:>64} {made:5}    {received:5} {callee[-64:]}")
    return "\n".join(rows)
