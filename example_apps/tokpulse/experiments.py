"""Experiments: who sees which variant, and guardrails that end a variant that fails or is slow.

A visitor is assigned by a hash, so that it needs no storage and stays the same. A guardrail compares what the last
renders of the treatment really were with its threshold. A breach pauses the treatment: everybody sees the control.
"""

import hashlib
import time
from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from example_apps.tokpulse import telemetry

WINDOW = 40  # renders that a guardrail looks at
FEWEST = 10  # renders before it says anything
PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Render:
    ms: float
    has_failed: bool


def error_ratio(renders: list[Render]) -> float:
    return sum(render.has_failed for render in renders) / len(renders)


def p95_ms(renders: list[Render]) -> float:
    return sorted(render.ms for render in renders)[int(0.95 * (len(renders) - 1))]


METRICS = {"error_ratio": error_ratio, "p95_ms": p95_ms}


@dataclass(slots=True)
class Experiment:
    name: str
    control: str
    treatment: str
    guardrails: dict[str, float]  # the threshold by metric
    renders: deque[Render] = field(default_factory=lambda: deque(maxlen=WINDOW))
    paused_until: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def assigned(self, visitor_id: str) -> str:
        digest = hashlib.sha256(f"{self.name}:{visitor_id}".encode()).digest()
        return self.treatment if digest[0] % 2 else self.control

    def shown(self, visitor_id: str) -> str:
        """Give the variant that a visitor sees now."""
        return self.control if time.monotonic() < self.paused_until else self.assigned(visitor_id)

    def note(self, variant: str, render: Render) -> None:
        """Look at the guardrails after a render of the treatment."""
        if variant != self.treatment:
            return
        with self.lock:
            self.renders.append(render)
            seen = list(self.renders)
            broken = [name for name, most in self.guardrails.items() if METRICS[name](seen) > most]
            if not broken or len(seen) < FEWEST or time.monotonic() < self.paused_until:
                return
            self.paused_until = time.monotonic() + PAUSE_SECONDS
            self.renders.clear()
        for metric in broken:
            telemetry.guardrail_breached(self.name, metric, self.guardrails[metric])


WIDGET_LAYOUT = Experiment("widget-layout", "list", "grid", {"error_ratio": 0.2, "p95_ms": 150.0})
