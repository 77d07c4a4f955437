"""Which traces are kept is what the SDK would have decided, and a kept one has the ID that was drawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from obs_middleware.tracing.sampling import Sampling

RATIOS = (0.0, 1e-9, 0.001, 0.1, 0.5, 0.999, 1.0)


@pytest.mark.parametrize("ratio", RATIOS)
def test_decision_is_that_of_the_sdk(ratio: float) -> None:
    root = TraceIdRatioBased(ratio)
    theirs, ours = ParentBased(root), Sampling(root.bound)
    bound, bits = root.bound, Random(7).getrandbits
    near = [max(1, bound + step) & (1 << 64) - 1 for step in (-2, -1, 0, 1, 2)]
    for trace_id in [
        *near,
        *(one << 64 | low for low in near for one in (1, 5)),
        *(bits(128) for _ in range(3000)),
    ]:
        decision = theirs.should_sample(Context(), trace_id, "name").decision
        assert ours.keeps(f"{trace_id:032x}") is decision.is_sampled()


def test_root_span_has_the_trace_id_that_was_drawn_once() -> None:
    sampling = Sampling(1 << 64)
    tracer = _tracer(sampling)
    sampling.draw(0x0AF7651916CD43DD8448EB211C80319C)
    first, second = (tracer.start_span("name", Context()).get_span_context() for _ in range(2))
    assert first.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert second.trace_id not in (0, first.trace_id)
    assert first.span_id != second.span_id


def test_trace_id_that_was_drawn_can_be_taken_back() -> None:
    sampling = Sampling(1 << 64)
    sampling.draw(5)
    sampling.draw(0)
    assert sampling.generate_trace_id() not in (0, 5)


def test_threads_do_not_share_what_they_draw() -> None:
    sampling, threads = Sampling(1 << 64), 8
    together = Barrier(threads)

    def draw(number: int) -> list[tuple[int, int]]:
        seen = []
        for turn in range(200):
            drawn = number << 32 | turn | 1 << 127
            together.wait()
            sampling.draw(drawn)
            together.wait()
            seen.append((drawn, sampling.generate_trace_id()))
        return seen

    with ThreadPoolExecutor(threads) as pool:
        for seen in pool.map(draw, range(threads)):
            assert all(drawn == got for drawn, got in seen)
        assert sampling.generate_trace_id() >> 32 != 0


def _tracer(sampling: Sampling):
    sampler = ParentBased(TraceIdRatioBased(1.0))
    return TracerProvider(sampler=sampler, id_generator=sampling).get_tracer("scope")  # type: ignore[arg-type]
