"""What uvicorn and gunicorn serve: `BENCH_APP=flask:ours-10`, with a full registry if `BENCH_FILL` names one."""

from __future__ import annotations

import os

from benchmarks import registries, telemetry
from benchmarks.apps import build
from benchmarks.variants import VARIANTS

_framework, _, _variant = os.environ["BENCH_APP"].partition(":")
if "spans" in VARIANTS[_variant].tells:
    telemetry.drop_spans()
app = build(_framework, _variant)
if os.environ.get("BENCH_FILL"):
    registries.fill(os.environ["BENCH_FILL"])
