"""Nothing secret leaves: what is hidden, under which keys, in which texts, and what stays as it is."""

from __future__ import annotations

from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs_middleware.redaction.redactor import CHARACTERS, CUT
from tests.core.redaction.hiding import CARD, EMAIL, JWT, SECRET, query, redactor, text


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
