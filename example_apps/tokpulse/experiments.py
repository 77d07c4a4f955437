"""Experiments: who sees which variant, and guardrails that end a variant that fails or is slow.

A visitor is assigned by a hash, so that it needs no storage and stays the same. A guardrail compares what the last
renders of the treatment really were with its threshold. A breach pauses the treatment: everybody sees the control.
"""

import hashlib
import time
from collections import deque
from threading import Lock
from typing import NamedTuple

WINDOW, FEWEST = 40, 10  # renders that a guardrail looks at, at most and at least
PAUSE_SECONDS = 10.0


class Render(NamedTuple):
    ms: float
    has_failed: bool


METRICS = {
    "error_ratio": lambda renders: sum(render.has_failed for render in renders) / len(renders),
    "p95_ms": lambda renders: sorted(renders)[int(0.95 * (len(renders) - 1))].ms,
}


class Experiment:
    def __init__(self, name: str, *, control: str, treatment: str, guardrails: dict[str, float]) -> None:
        self.name, self.control, self.treatment, self.guardrails = name, control, treatment, guardrails
        self.renders, self.paused_until, self.lock = deque[Render](maxlen=WINDOW), 0.0, Lock()

    def assigned(self, visitor_id: str) -> str:
        digest = hashlib.sha256(f"{self.name}:{visitor_id}".encode()).digest()
        return self.treatment if digest[0] % 2 else self.control

    def shown(self, visitor_id: str) -> str:
        """Give the variant that a visitor sees now."""
        return self.control if time.monotonic() < self.paused_until else self.assigned(visitor_id)

    def breaches(self, variant: str, render: Render) -> dict[str, float]:
        """Note a render, and give the guardrails that it breaches with their thresholds, which pauses the treatment."""
        if variant != self.treatment:
            return {}
        with self.lock:
            self.renders.append(render)
            seen = list(self.renders)
            found = {name: most for name, most in self.guardrails.items() if METRICS[name](seen) > most}
            if len(seen) < FEWEST or not found:
                return {}
            self.renders.clear()
            self.paused_until = time.monotonic() + PAUSE_SECONDS
            return found


WIDGET_LAYOUT = Experiment(
    "widget-layout", control="list", treatment="grid", guardrails={"error_ratio": 0.2, "p95_ms": 250.0}
)
