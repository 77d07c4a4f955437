"""A request costs no more function calls of ours than the budget says: a deterministic measure of speed.

The budget is the highest count over the Pythons and the releases that are supported, which differ by few. To raise a
number says in the diff that requests have become slower; a number that has become too high wants to be lowered.
"""

from __future__ import annotations

import pytest

from tests.budget.alone import run_alone
from tests.budget.calls import Calls, count

# Calls of ours, Python's and C's, for one request with everything on; `%` is how many of the traces are sampled.
BUDGET = {
    ("raw ASGI", "0 %"): 72,
    ("raw ASGI", "100 %"): 102,
    ("Starlette", "0 %"): 82,
    ("Starlette", "100 %"): 112,
    ("FastAPI", "0 %"): 82,
    ("FastAPI", "100 %"): 111,
    ("FastAPI, 100 chunks", "0 %"): 298,
    ("FastAPI, 100 chunks", "100 %"): 329,
    ("raw WSGI", "0 %"): 63,
    ("raw WSGI", "100 %"): 88,
    ("Flask", "0 %"): 58,
    ("Flask", "100 %"): 83,
    ("Django sync", "0 %"): 69,
    ("Django sync", "100 %"): 94,
    ("Django async", "0 %"): 95,
    ("Django async", "100 %"): 120,
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


@pytest.mark.parametrize(("app", "sampled"), BUDGET)
def test_a_request_costs_what_the_budget_says(app: str, sampled: str) -> None:
    budget = BUDGET[app, sampled]
    target = b"/stream" if "chunks" in app else b"/items/1"
    calls = run_alone(count, _FRONT_ENDS[app], target, 100, ratio=int(sampled.split()[0]) / 100)
    assert calls.is_steady, f"the same request does not make the same calls: {calls.repeats}"
    ours, what = calls.ours, f"{app}, {sampled} sampled: {calls.ours} calls of ours"
    assert ours <= budget, f"{what}, {ours - budget} more than the budget\n{_table(calls)}"
    assert ours >= min(budget * 0.85, budget - 5), f"{what}, the budget is {budget}: lower it in {__name__}"


def _table(calls: Calls) -> str:
    rows = [f"{'calls made by':>70}    calls of"]
    for (caller, made), (callee, received) in zip(calls.callers, calls.callees, strict=True):
        rows.append(f"{caller[-64:]:>64} {made:5}    {received:5} {callee[-64:]}")
    return "\n".join(rows)
