"""Nothing secret leaves: what is hidden, under which keys, in which texts, and what stays as it is."""

from __future__ import annotations

import tracemalloc
from functools import cache
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware.redaction.redactor import CHARACTERS, CUT, Redactor

CARD = "4111111111111111"
EMAIL = "jane.doe@example.org"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
SECRET = "hunter2x"


@cache
def redactor(*, pii: bool = True) -> Redactor:
    return Redactor(pii=pii)


def text(value: str, *, pii: bool = True) -> str:
    return redactor(pii=pii).text(value)


def query(value: str, *, pii: bool = True) -> str:
    return redactor(pii=pii).query(value)


# Keys


def words(text: str) -> list[str]:
    return text.split()


CREDENTIAL_KEYS = words("""
    password passwd passphrase secret token authorization cookie credentials api_key access_token refresh_token id_token
    client_secret private_key signing_key session_id csrf_token jwt otp cvv signature auth pwd sid set_cookie
    proxy_authorization x_api_key x_amz_security_token aws_secret_access_key user_password password_hash secret_key
    session_key encryption_key passwords secrets access_tokens api_tokens api_keys cookies private_keys
    db_pass smtp_pwd redis_auth
""")
PII_KEYS = words("""
    email phone address name first_name last_name full_name customer_id customer_name ssn credit_card card_number
    payment_method billing_address shipping_address mobile_phone user_email
""")
OPEN_KEYS = words("""
    id method path route status user order_id hostname ip_address filename product_name author tokenizer secretary
    passenger key keyboard state code country passed compass cookie_count max_tokens prompt_tokens
""")


def spellings(key: str) -> set[str]:
    first, *rest = key.split("_")
    camel = first + "".join(part.title() for part in rest)
    return {
        key,
        key.upper(),
        key.replace("_", "-"),
        key.replace("_", "-").title(),
        camel,
        camel[0].upper() + camel[1:],
    }


@pytest.mark.parametrize("key", CREDENTIAL_KEYS)
def test_credential_is_known_by_its_key_in_every_spelling(key: str) -> None:
    for spelling in spellings(key):
        assert redactor().is_secret_key(spelling), spelling
        assert redactor(pii=False).is_secret_key(spelling), spelling


@pytest.mark.parametrize("key", PII_KEYS)
def test_personal_data_is_known_by_its_key_in_every_spelling_and_shown_where_wanted(key: str) -> None:
    for spelling in spellings(key):
        assert redactor().is_secret_key(spelling), spelling
        assert not redactor(pii=False).is_secret_key(spelling), spelling


@pytest.mark.parametrize("key", [*OPEN_KEYS, "", "_", "é"])
def test_other_keys_hide_nothing(key: str) -> None:
    assert not any(map(redactor().is_secret_key, spellings(key) if key.isalpha() else [key]))


@pytest.mark.parametrize("own", ["tax_id", "TaxId", "tax-id", "taxid"])
def test_own_key_is_hidden_in_every_spelling_also_when_personal_data_are_shown(own: str) -> None:
    with_own = Redactor(pii=False, keys=[own])
    for spelling in (*spellings("tax_id"), "customer_tax_id", "customerTaxId"):
        assert with_own.is_secret_key(spelling), spelling
    assert not with_own.is_secret_key("id")
    assert with_own.text("taxId=DE123") == "taxId=REDACTED"


def test_own_key_may_hold_any_character() -> None:
    assert Redactor(keys=["a.b(c", "["]).is_secret_key("a.b(c")


def test_own_key_of_punctuation_alone_does_not_hide_everything() -> None:
    assert not Redactor(keys=["_"]).is_secret_key("status")


# Texts


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


def test_text_is_cut_and_no_half_of_a_secret_is_left_at_its_end() -> None:
    for secret in (
        f"password={SECRET}",
        EMAIL,
        CARD,
        f"Bearer {SECRET}",
        f"postgres://app:{SECRET}@db",
        JWT[:200],
    ):
        for start in range(60, 101, 2):
            shown = redactor().text("-" * (start - 1) + " " + secret + " " + "-" * 400, limit=100)
            assert len(shown) <= 100 + len(CUT)
            assert shown.endswith(CUT)
            for part in (SECRET[:4], "jane", "4111", "eyJh"):
                assert part not in shown


def test_secret_hidden_early_does_not_bring_half_of_a_later_one_into_view() -> None:
    early = f"password={'x' * 240} "
    for pad in range(100):
        late = "-" * pad + " " + EMAIL + " "
        assert "jane" not in redactor().text(early + late * 3 + "-" * 500, limit=200)


def test_any_text_comes_out_fit_for_utf8() -> None:
    assert text("a\ud800b") == "a\\ud800b"
    assert text("é\udcffé").encode()


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
def test_half_a_megabyte_that_a_pattern_may_stumble_over_ends(stretch: str) -> None:
    value = stretch * (250_000 // len(stretch))
    value += "password=" + value + "@!"
    redactor().text(value, limit=len(value))
    assert len(text(value)) <= CHARACTERS + len(CUT)
    assert len(query(value)) <= 2 * CHARACTERS
    redactor().is_secret_key(value)


def test_strange_keys_of_clients_are_not_kept_in_memory() -> None:
    own = Redactor()
    tracemalloc.start()
    try:
        for number in range(300):
            own.is_secret_key(f"{number:010}" * 1000)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


# Queries

AMZ = (
    "X-Amz-Signature={}&X-Amz-Credential={}&X-Amz-Security-Token={}&AWSAccessKeyId={}&Signature={}&sig={}"
    "&X-Goog-Signature={}"
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", ""),
        ("a=1&b=2", "a=1&b=2"),
        (f"token={SECRET}", "token=REDACTED"),
        (f"a=1&token={SECRET}&b=2", "a=1&token=REDACTED&b=2"),
        ("code=abc&state=xyz", "code=REDACTED&state=REDACTED"),
        (
            f"access_token={SECRET}&id_token={SECRET}&api_key={SECRET}",
            "access_token=REDACTED&id_token=REDACTED&api_key=REDACTED",
        ),
        (AMZ.format(*"abcdefg"), AMZ.format(*["REDACTED"] * 7)),
        (f"%70assword={SECRET}", "%70assword=REDACTED"),
        (f"user[password]={SECRET}", "user[password]=REDACTED"),
        (f"password[]={SECRET}", "password[]=REDACTED"),
        (f"PassWord={SECRET}", "PassWord=REDACTED"),
        (f"token=a={SECRET}", "token=REDACTED"),
        (f"token={SECRET}&token={SECRET}", "token=REDACTED&token=REDACTED"),
        ("token=&a", "token=&a"),
        ("a=&b&&=c&a=1", "a=&b&&=c&a=1"),
        ("q=a+b%20c%zz%C3%A9;d", "q=a+b%20c%zz%C3%A9;d"),
        (f"q={quote(EMAIL)}", "q=REDACTED"),
        (f"q={CARD}", "q=REDACTED"),
        (f"q={JWT}", "q=REDACTED"),
        (f"next={quote_plus(f'/cb?token={SECRET}')}", "next=REDACTED"),
        (f"next={quote_plus(f'https://x.example/cb?a=1&token={SECRET}')}", "next=REDACTED"),
        (f"a=1;token={SECRET}", "a=REDACTED"),
    ],
)
def test_secrets_of_a_query_are_hidden_and_the_rest_stays(value: str, shown: str) -> None:
    assert query(value) == shown


@pytest.mark.parametrize("secret", [EMAIL, quote(EMAIL, safe=""), CARD, JWT])
@pytest.mark.parametrize("shape", ["{}", "a=1&{}", "{}=1", "{}="])
def test_secret_that_stands_where_a_parameters_name_does_is_hidden(secret: str, shape: str) -> None:
    assert secret not in query(shape.format(secret))


def test_personal_data_of_a_query_are_shown_where_wanted_but_no_credential() -> None:
    value = f"email={EMAIL}&token={SECRET}"
    assert query(value) == "email=REDACTED&token=REDACTED"
    assert query(value, pii=False) == f"email={EMAIL}&token=REDACTED"


SAFE_NAMES = st.sampled_from(["a", "q", "page", "sort_by", "x-y", "%C3%A9", "", "a+b", "%zz"])
SAFE_VALUES = st.sampled_from(["", "1", "a+b", "a%20b", "%C3%A9", "%", "%zz", "~", "[]", ".", "-"])
SECRET_NAMES = st.sampled_from(["token", "Access-Token", "api_key", "p%61ssword", "code", "userEmail"])
PARAMETERS = st.tuples(SAFE_NAMES, st.sampled_from(["", "="]), SAFE_VALUES)
SECRETS = st.tuples(SECRET_NAMES, st.just("="), st.just(SECRET))


@given(st.lists(st.one_of(PARAMETERS, SECRETS), max_size=12))
def test_query_keeps_order_blanks_and_encoding_of_what_is_no_secret(
    parameters: list[tuple[str, str, str]],
) -> None:
    shown = query("&".join(map("".join, parameters))).split("&") if parameters else []
    assert len(shown) == len(parameters)
    for parameter, (name, equals, value) in zip(shown, parameters, strict=True):
        assert parameter == name + equals + ("REDACTED" if value == SECRET else value)


@given(st.text(max_size=200))
def test_any_query_keeps_its_parameters_and_names(value: str) -> None:
    before, after = value.split("&"), query(value).split("&")
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        assert new == old or "REDACTED" in new


@given(st.text(min_size=1), st.sampled_from(["token", "api_key", "X-Amz-Signature"]))
def test_no_value_of_a_credential_is_left_in_a_query_however_it_is_encoded(value: str, name: str) -> None:
    encoded = quote(value, safe="", errors="replace")
    assert query(f"a=1&{name}={encoded}&b=2") == f"a=1&{name}=REDACTED&b=2"
    assert unquote_plus(name) == name


# Exceptions


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_exception_is_told_without_its_secrets() -> None:
    kind, message, stack = redactor().error(raised(ValueError(f"bad password={SECRET} of {EMAIL}")))
    assert (kind, message) == ("ValueError", "bad password=REDACTED of REDACTED")
    assert "test_redactor.py" in stack
    assert SECRET not in stack
    assert EMAIL not in stack


def test_causes_and_notes_are_told_without_their_secrets() -> None:
    error = ValueError("outer")
    error.__cause__ = KeyError(f"token={SECRET}")
    if hasattr(error, "add_note"):
        error.add_note(f"password={SECRET}")
    assert SECRET not in redactor().error(raised(error))[2]


def test_exception_that_cannot_be_printed_is_told_all_the_same() -> None:
    kind, message, stack = redactor().error(raised(Unprintable()))
    assert kind.endswith("test_redactor.Unprintable")
    assert message == "<str() of the exception failed>"
    assert "Unprintable" in stack


def test_stack_is_cut_at_its_beginning_and_no_half_of_a_secret_is_left_there() -> None:
    for shift in range(-12, 12):
        tail = " " + "-" * (CHARACTERS - len(SECRET) - 2 + shift)
        stack = redactor().error(raised(ValueError(f"{'-' * 100} password={SECRET}{tail}")))[2]
        assert len(stack) <= CHARACTERS + len(CUT)
        assert SECRET[3:] not in stack
