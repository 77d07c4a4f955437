"""Values that no sign parts from their keys."""

from __future__ import annotations

import pytest

from tests.core.redaction.hiding import SECRET, text


@pytest.mark.parametrize(
    "value",
    [
        f"run --db-password {SECRET} --port 80",
        f"['run', '--db-password', '{SECRET}']",
        f'{{"name": "Authorization", "value": "{SECRET}"}}',
        f'{{"value": "{SECRET}", "name": "password"}}',
        f'<input type="hidden" name="csrf_token" value="{SECRET}">',
        f'<string name="api_key">{SECRET}</string>',
        f'name="password"\r\n\r\n{SECRET}\r\n--b--',
        f"the password is {SECRET}",
        f"password\n  String should be longer [type=short, input_value='{SECRET}', input_type=str]",
    ],
)
def test_value_beside_its_key_is_hidden(value: str) -> None:
    assert SECRET not in text(value)


@pytest.mark.parametrize("value", ["the password is wrong", "token bucket", "run --token-file /run/token"])
def test_word_beside_a_key_stays(value: str) -> None:
    assert text(value) == value
