"""Memory does not grow with what clients send; that the series don't is in the conformance list."""

from __future__ import annotations

import pytest

from tests.budget.alone import run_alone
from tests.budget.growth import grown

FIRST = 4_000  # after which whatever is bounded is full
BLOCKS = 1_500  # 512 texts are remembered, more or fewer at the moment of looking; one block of each request is 4000


@pytest.mark.parametrize(
    ("name", "many"), [("asgi", 20_000), ("wsgi", 4_000), ("flask", 4_000), ("django_wsgi", 4_000)]
)
def test_nothing_is_kept_of_requests_never_seen_before(name: str, many: int) -> None:
    assert run_alone(grown, name, FIRST, many, ratio=0.1) < BLOCKS
