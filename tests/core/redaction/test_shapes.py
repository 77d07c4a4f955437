"""What is hidden in texts by its form, and what stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware.redaction.redactor import CHARACTERS, CUT
from tests.core.redaction.hiding import CARD, EMAIL, JWT, SECRET, query, redactor, text


@pytest.mark.parametrize(
    "value",
    [
        f"password={SECRET}",
        f"password: {SECRET}",
        f"password = {SECRET}",
        f"Password:{SECRET}",
        f'{{"password": "{SECRET}"}}',
        f'{{"password":"{SECRET}"}}',
        f"{{'password': '{SECRET}'}}",
        f"{{'password': b'{SECRET}'}}",
        f"{{'user': {{'password': '{SECRET}'}}}}",
        f'{{"a": 1, "api_key": "{SECRET}", "b": 2}}',
        f"User(name='jane', password='{SECRET}')",
        f"password=b'{SECRET}'",
        f'password="some {SECRET} words"',
        f'password="some \\" {SECRET} words"',
        f"password='it\\'s {SECRET}'",
        f'password="unterminated {SECRET}',
        f"password='unterminated {SECRET} words",
        f'{{"body": "{{\\"password\\": \\"{SECRET}\\"}}"}}',
        f'{{"body": "{{\\"password\\": \\"two {SECRET}\\"}}"}}',
        f'{{"body": "{{\\\\\\"password\\\\\\": \\\\\\"{SECRET}\\\\\\"}}"}}',
        f'{{"passwords": ["a", "{SECRET}"]}}',
        f'{{"password": ["{SECRET}"]}}',
        f'{{"password": {{"value": "{SECRET}"}}}}',
        f"ValueError: password={SECRET}",
        f"failed: token={SECRET}",
        f"msg='password={SECRET}'",
        f'msg="x password={SECRET}"',
        f"url=https://shop.example/?token={SECRET}",
        f"see https://shop.example/?a=1&token={SECRET}&b=2",
        f"GET https://shop.example/cb?access_token={SECRET}",
        f"SECRET_KEY={SECRET}",
        f"password      =     {SECRET}",
        f"password:\r\n  {SECRET}",
        f'{{"passwords": [\n  "a",\n  "{SECRET}"\n]}}',
        f"Authorization: Bearer {SECRET}",
        f"authorization: basic {SECRET}==",
        f"Bearer {SECRET}",
        f'"Authorization": "Bearer {SECRET}"',
        f"Authorization: Token {SECRET}",
        f"Authorization: ApiKey {SECRET}",
        f"Cookie: a=1; b={SECRET}",
        f"Cookie:a=1; b={SECRET}",
        f"Set-Cookie: id={SECRET}; Path=/",
        f"{{'cookie': 'a=1; b={SECRET}'}}",
        f"X-Api-Key: {SECRET}",
        f"postgres://app:{SECRET}@db:5432/shop",
        f"redis://:{SECRET}@cache",
        f"https://user:{SECRET}@host/path",
        f"https://user:x@{SECRET}@host/path",
        f"password={SECRET}\npassword={SECRET}",
    ],
)
def test_credential_in_a_text_is_hidden_with_and_without_personal_data(value: str) -> None:
    for pii in (True, False):
        shown = text(value, pii=pii)
        assert SECRET not in shown
        assert "REDACTED" in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"user=7 password={SECRET} order=8", "user=7 password=REDACTED order=8"),
        (f'{{"password":"{SECRET}","order":8}}', '{"password":"REDACTED","order":8}'),
        (f"Bearer {SECRET} sent", "Bearer REDACTED sent"),
        (f"postgres://app:{SECRET}@db/shop", "postgres://REDACTED:REDACTED@db/shop"),
        (f"a token {JWT} there", "a token REDACTED there"),
        (f"mail to {EMAIL}, please", "mail to REDACTED, please"),
        (f"paid with {CARD}.", "paid with REDACTED."),
    ],
)
def test_what_stands_around_a_secret_stays(value: str, shown: str) -> None:
    assert text(value) == shown


@pytest.mark.parametrize(
    "value",
    [
        "",
        "paid",
        "a = b",
        "status: 200, took: 3 ms",
        "https://shop.example:8080/items/7?page=2#top",
        "user@localhost",
        "12:30:45",
        "the basic concepts of bearer instruments",
        "1.2.3-4",
        "passed=12",
        "tokenizer=fast",
        "uuid 0190d6f2-1c3b-7d4e-8f5a-6b7c8d9e0f1a",
        "naïve café 東京",
    ],
)
def test_harmless_text_stays_as_it_is(value: str) -> None:
    assert text(value) == value


@pytest.mark.parametrize(
    "value", [EMAIL, "j+d@a-b.co.uk", "o'neil@example.org", "größe@münchen.de", f"<{EMAIL}>", f"to:{EMAIL}"]
)
def test_mail_address_is_hidden_unless_personal_data_are_shown(value: str) -> None:
    assert "@" not in text(value)
    assert text(value, pii=False) == value


@pytest.mark.parametrize(
    "card",
    [
        CARD,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "378282246310005",
        "5555555555554444",
        "6011000990139424",
        "4222222222222",
        "2223003122003222",
    ],
)
@pytest.mark.parametrize("around", ["{}", "card {}.", "({})", "order 22 {}", "{} 12/29", "order-3-{}"])
def test_card_number_is_hidden_unless_personal_data_are_shown(card: str, around: str) -> None:
    value = around.format(card)
    assert card not in text(value)
    assert text(value, pii=False) == value


@pytest.mark.parametrize(
    "value",
    [
        "4111111111111112",
        "1234567890123456",
        "0.4111111111111111",
        "1700000000000",
        "4" * 40,
        "411111111111",
        "2026-01-31 12:00:00",
    ],
)
def test_digits_that_are_no_card_stay(value: str) -> None:
    assert text(value) == value


def test_credentials_stay_hidden_where_personal_data_are_shown() -> None:
    shown = text(f"{EMAIL} {CARD} password={SECRET} {JWT}", pii=False)
    assert shown == f"{EMAIL} {CARD} password=REDACTED REDACTED"


@given(st.text())
def test_any_text_is_taken_and_hiding_twice_changes_nothing(value: str) -> None:
    shown = text(value)
    assert text(shown) == shown


HOSTILE = (
    *(
        "a",
        "a=",
        'a="',
        "a='",
        "password",
        'password="',
        'password="\\',
        "password=[",
        'password=\\"',
        "=",
        ":",
        '\\"',
        "\\",
    ),
    *(
        "'",
        '"',
        "a.",
        "a-",
        "@",
        "a@",
        "a@b",
        "a@b.",
        "a.b@c.d@",
        "4",
        "4 ",
        "41 1-",
        "4111 ",
        "0.",
        "bearer ",
        "basic",
    ),
    *(
        "Basic  ",
        "eyJ",
        "eyjaaaaa.",
        "eyj.aaaaa",
        "://",
        "://a:",
        "://a:b",
        "a:a:a:",
        "Cookie: ",
        "cookie:",
        " ",
        "\n",
    ),
    *("a=\n", "é", "٣", "\x00", "%", "&a=", "{", '{"a":'),
)


@pytest.mark.parametrize("stretch", HOSTILE)
def test_long_text_that_a_pattern_may_stumble_over_ends(stretch: str) -> None:
    value = stretch * (25_000 // len(stretch))
    value += "password=" + value + "@!"
    redactor().text(value, limit=len(value))
    assert len(text(value)) <= CHARACTERS + len(CUT)
    assert len(query(value)) <= 2 * CHARACTERS
    redactor().is_secret_key(value)
