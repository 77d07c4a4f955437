"""Secrets in encoded text are hidden, and what stands around them keeps its encoding."""

from __future__ import annotations

import base64

import pytest

from tests.core.redaction.hiding import SECRET, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"u=%2Fcb%3Ftoken%3D{SECRET}%26a%3D1", "u=%2Fcb%3Ftoken%3DREDACTED%26a%3D1"),
        (f"u=%252Fcb%253Ftoken%253D{SECRET}", "u=%252Fcb%253Ftoken%253DREDACTED"),
        ("to=jane.doe%40example.org&a=%C3%A9", "to=REDACTED&a=%C3%A9"),
        (f"{{\\u0022password\\u0022:\\u0022{SECRET}\\u0022}}", '{"password":"REDACTED"}'),
        (f"&lt;password&gt;{SECRET}&lt;/password&gt;", "&lt;password&gt;REDACTED&lt;/password&gt;"),
        ("a%20b%3Dc &amp; &lt;d&gt; \\u003e 100%", "a%20b%3Dc &amp; &lt;d&gt; \\u003e 100%"),
    ],
)
def test_secret_is_hidden_and_the_rest_stays(value: str, shown: str) -> None:
    assert text(value) == shown


@pytest.mark.parametrize("around", ["payload={}", '{{"body": "{}"}}', "got {} from the queue"])
def test_object_in_base64_that_holds_a_secret_is_hidden(around: str) -> None:
    secret = base64.b64encode(b'{"user": "jane", "password": "hunter2x"}').decode()
    harmless = base64.b64encode(b'{"page": 3, "cursor": 48213}').decode()
    assert secret[:24] not in text(around.format(secret))
    assert text(around.format(harmless)) == around.format(harmless)


def test_query_that_was_encoded_three_times_is_hidden() -> None:
    assert "hunter2x" not in text("next=%25253Fpassword%25253Dhunter2x")
