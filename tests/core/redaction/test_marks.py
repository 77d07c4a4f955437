"""What a user can change: the word that stands for a secret, keys, patterns, a callback; what is said of bad ones."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from obs_middleware import ConfigError, Settings
from obs_middleware.logs import JsonFormatter
from obs_middleware.redaction import Redactor
from tests.core.redaction.hiding import CARD, EMAIL, SECRET


def made(**settings: Any) -> Redactor:
    return Redactor.of(Settings.load(env={}, **settings))


KEY = "a-key-of-the-service"


def test_hash_gives_equal_secrets_equal_words_and_others_other_ones() -> None:
    hide = made(redact_mode="hash", redact_hash_key=KEY).text
    first, again, other = (hide(f"password={value}") for value in (SECRET, SECRET, SECRET + "y"))
    assert first == again != other
    assert first.startswith("password=REDACTED-")
    assert SECRET not in first


def test_hash_of_one_value_is_the_same_in_every_sink() -> None:
    redactor = made(redact_mode="hash", redact_hash_key=KEY)
    word = redactor.mark(SECRET)
    assert redactor.text(f"password={SECRET}") == f"password={word}"
    assert redactor.query(f"token={SECRET}") == f"token={word}"
    formatter = JsonFormatter(settings=Settings(redact_mode="hash", redact_hash_key=KEY))
    assert word in formatter.format(logging.makeLogRecord({"msg": "x", "password": SECRET}))


def test_hash_depends_on_the_key_and_without_one_on_the_process() -> None:
    words = {made(redact_mode="hash", redact_hash_key=key).mark(SECRET) for key in (KEY, KEY + "2", None)}
    assert len(words) == 3
    assert made(redact_mode="hash").mark(SECRET) == made(redact_mode="hash").mark(SECRET)


@pytest.mark.parametrize("value", [f"password={SECRET}", f"to {EMAIL}", f"card {CARD}", f"Bearer {SECRET}"])
def test_hashing_twice_changes_nothing(value: str) -> None:
    hide = made(redact_mode="hash", redact_hash_key=KEY).text
    assert hide(hide(value)) == hide(value)


def test_hash_key_is_not_shown() -> None:
    assert KEY not in repr(Settings(redact_hash_key=KEY))
    with pytest.raises(ConfigError) as complaint:
        Settings.load(env={"OBS_REDACT_HASH_KEY": "short"})
    assert "short" not in str(complaint.value)


def test_allowed_key_shows_its_value_in_every_spelling() -> None:
    redactor = made(redact_allowed_keys="session_id,pin")
    for text in ("session_id=abc123def", '{"sessionId": "abc123def"}', "Session-ID: abc123def", "pin=4711"):
        assert redactor.text(text) == text
    assert not redactor.is_secret_key("SessionID")
    assert redactor.is_secret_key("password")


def test_allowed_key_still_hides_what_looks_like_a_secret_by_itself() -> None:
    assert made(redact_allowed_keys="token").text(f"token=ghp_{'a1B2' * 9}") == "token=REDACTED"


def test_own_pattern_is_hidden_or_its_group_alone() -> None:
    redactor = made(redact_patterns=["INV-[0-9]{8}", "badge ([0-9]{4})"])
    assert redactor.text("paid INV-20260131 by badge 4711") == "paid REDACTED by badge REDACTED"
    assert redactor.path("/invoices/INV-20260131") == "/invoices/REDACTED"
    assert redactor.query("q=INV-20260131") == "q=REDACTED"


def test_own_patterns_are_read_from_the_environment_one_a_line() -> None:
    settings = Settings.load(env={"OBS_REDACT_PATTERNS": "INV-[0-9]{1,8}\nbadge ([0-9]{4})\n"})
    assert settings.redact_patterns == ("INV-[0-9]{1,8}", "badge ([0-9]{4})")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "is no regular expression"),
        ("[a-z", "is no regular expression"),
        ("a*", "matches an empty text"),
        ("", "matches an empty text"),
        ("(a+)+b", "repeats a repetition"),
        (r"(\w*-?\d+)*x", "repeats a repetition"),
    ],
)
def test_bad_pattern_is_told_at_start(pattern: str, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"^redact_patterns has .+, which {why}"):
        Settings(redact_patterns=(pattern,))


def shout(text: str) -> str:
    return text.replace("tiger", "REDACTED")


def test_callback_gets_each_text_last() -> None:
    for callback in (shout, f"{__name__}:shout"):
        redactor = made(redact_callback=callback)
        assert redactor.text(f"tiger password={SECRET}") == "REDACTED password=REDACTED"
        assert redactor.path("/zoo/tiger") == "/zoo/REDACTED"
        assert redactor.query("q=tiger") == "q=REDACTED"


@pytest.mark.parametrize("callback", [lambda text: 1 / 0, lambda text: None, lambda: ""])
def test_callback_that_fails_hides_the_whole_text_because_nobody_knows_what_it_would_hide(
    callback: Any,
) -> None:
    assert made(redact_callback=callback).text("tiger") == "REDACTED"


@pytest.mark.parametrize("callback", ["no_such_module:hide", "tests:no_such_name", 7, "tests"])
def test_callback_that_is_no_function_is_told_at_start(callback: Any) -> None:
    with pytest.raises(ConfigError, match=r"^redact_callback must be a function"):
        Settings.load(env={}, redact_callback=callback)
