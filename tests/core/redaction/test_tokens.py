"""Every form of a token is found in a text: what the cheap look calls clean is never looked at."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obs_middleware.redaction.tokens import TOKENS
from tests.core.redaction.hiding import text


@pytest.mark.parametrize("form", TOKENS)
@settings(max_examples=4, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(data=st.data())
def test_token_of_every_form_is_hidden(form: str, data: st.DataObject) -> None:
    token = data.draw(st.from_regex(re.compile(form, re.ASCII), fullmatch=True))
    assert token not in text(f"seen {token} there")
