"""The keywords are the settings."""

from __future__ import annotations

from obs_middleware.settings.keywords import Keywords
from tests.core.settings.loading import NAMES


def test_every_setting_is_a_keyword_that_type_checkers_know() -> None:
    assert set(Keywords.__annotations__) == set(NAMES)
