"""What a value looks like."""

from __future__ import annotations

import pytest

from obs_middleware.redaction.values import is_code, is_placeholder, is_sentence, looks_secret


@pytest.mark.parametrize(
    "value", ["hunter2x", "Rk4&7hQz", "8f14e45fceea167a5a36dedd4bea2543", "dGhpc2lz0YXNlY3JldA=="]
)
def test_secret_looks_like_one(value: str) -> None:
    assert looks_secret(value)
    assert not is_placeholder(value)
    assert not is_sentence(value)


@pytest.mark.parametrize(
    "value",
    [
        "expired",
        "1.2.3",
        "v2.0.1-rc.1",
        "512ms",
        "user:42",
        "worker-12",
        "eu-west-1",
        "2026-01-31",
        "10.0.0.1:80",
        "0x7f3a2b",
    ],
)
def test_word_count_version_date_or_name_does_not(value: str) -> None:
    assert not looks_secret(value)


@pytest.mark.parametrize(
    "value", ["***", "None", "%s", "${DB_PASSWORD}", "{password}", "[FILTERED]", "<redacted>", "xxxx"]
)
def test_placeholder_stands_for_a_secret(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value", ["must be at least 8 characters", "This field is required.", "rotation done", "expired"]
)
def test_sentence_is_known_by_its_words(value: str) -> None:
    assert is_sentence(value)


@pytest.mark.parametrize("value", ['os.environ["X"]', "get_token(request)", "self.password", "lambda: x"])
def test_code_is_known_by_its_form(value: str) -> None:
    assert is_code(value)
