"""The WASM runtime: programs of `programs/`, compiled once, metered in fuel and bounded in memory.

rank.wat says how a program gets its values and leaves its answers. Nothing is counted here; tasks.py does that.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime

from example_apps.zerostate.models import Refused

CONFIG = wasmtime.Config()
CONFIG.consume_fuel = True
ENGINE = wasmtime.Engine(CONFIG)
FILES = sorted((Path(__file__).parent / "programs").glob("*.wat"))
PROGRAMS = {file.stem: wasmtime.Module(ENGINE, file.read_text()) for file in FILES}
FUEL_OF_UNIT = 100  # so much fuel costs one unit
MEMORY_BYTES = 2**20
TRAPPED, OUT_OF_FUEL = 134, 152  # exit codes, as a shell has them of SIGABRT and SIGXCPU


@dataclass(frozen=True, slots=True)
class Execution:
    """How a program has ended; `error` is empty where it went well."""

    output: list[float]
    cost_units: int
    memory_bytes: int
    exit_code: int
    error: str


def validate(program: str, values: Sequence[float]) -> bytes:
    """Check that a program is there and can hold the values, and give them as it reads them."""
    if str(program) not in PROGRAMS:
        raise Refused(422, f"no such program; we have {', '.join(PROGRAMS)}")
    try:
        packed = struct.pack(f"<{len(values)}d", *values)
    except (struct.error, TypeError, OverflowError):
        raise Refused(422, "values must be a list of numbers") from None
    if len(packed) > 2**15:  # behind them there must be room for as many answers
        raise Refused(422, f"values must be 4096 at most, got {len(values)}")
    return packed


def estimate(program: str, values: Sequence[float]) -> int:
    """Give the cost in units that the program itself expects."""
    store, exports = _instance(program)
    return 1 + int(exports["fuel_per_value"].value(store)) * len(values) // FUEL_OF_UNIT


def execute(program: str, values: Sequence[float], cap_units: int) -> Execution:
    """Run a program until it has ended, has trapped, or has cost as much as it may."""
    packed = validate(program, values)
    store, exports = _instance(program, cap_units * FUEL_OF_UNIT)
    memory = exports["memory"]
    memory.write(store, packed, 0)
    count, error = 0, ""
    try:
        count = exports["run"](store, len(values))
        exit_code = max(0, -count)
        error = f"exit code {exit_code}" if exit_code else ""
    except wasmtime.Trap as trap:
        exit_code = TRAPPED if store.get_fuel() else OUT_OF_FUEL
        error = trap.message.splitlines()[-1].strip()
    answers = memory.read(store, len(packed), len(packed) + 8 * max(0, count))
    output = [number for (number,) in struct.iter_unpack("<d", answers)]
    if not all(map(math.isfinite, output)):  # JSON has no way to write it
        error = "an answer is not a finite number"
    cost_units = cap_units - store.get_fuel() // FUEL_OF_UNIT
    return Execution(output, cost_units, memory.data_len(store), exit_code, error)


def _instance(program: str, fuel: int = 0) -> tuple[wasmtime.Store, Any]:
    store = wasmtime.Store(ENGINE)
    store.set_limits(memory_size=MEMORY_BYTES)
    store.set_fuel(fuel)
    return store, wasmtime.Instance(store, PROGRAMS[program], []).exports(store)
