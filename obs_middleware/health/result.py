"""Result: what a check may return to say more than yes or no."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from obs_middleware.errors import ConfigError

Status = Literal["pass", "warn", "fail"]
PASS, WARN, FAIL = STATUSES = ("pass", "warn", "fail")


class Result(msgspec.Struct, frozen=True):
    """What a check has found: `Result("warn", output="2 of 3 replicas", observed_value=2)`.

    Attributes:
        status: pass, warn or fail; a warning leaves readiness at 200.
        output: why it is no pass.
        observed_value: what was measured; how long the run took unless given.
        observed_unit: of the value, such as `connections`.

    Raises:
        ConfigError: the status is none of the three.
    """

    status: Status = "pass"
    output: str = ""
    observed_value: Any = None
    observed_unit: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ConfigError(f"the status of a Result must be pass, warn or fail, got {self.status!r}")
