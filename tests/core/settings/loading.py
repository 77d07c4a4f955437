"""How the tests of the settings load them, and what they complain of."""

from __future__ import annotations

from typing import Any

import pytest

from obs_middleware import ConfigError, Settings

NAMES = Settings.__struct_fields__


DEFAULTS = Settings.load(env={})


SECRET = "s3cr3t-t0k3n"


def made(**values: Any) -> Settings:
    return Settings(**values)


def from_env(**env: str) -> Settings:
    return Settings.load(env=env)


def complaint(**env: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        from_env(**env)
    return str(caught.value)
