"""Personal data by their form: check digits tell them from other numbers."""

from __future__ import annotations

import pytest

from obs_middleware.redaction.national_ids import luhn
from obs_middleware.redaction.personal import is_card
from tests.core.redaction.hiding import CARD, text


@pytest.mark.parametrize(
    "number",
    [
        *("4111111111111111", "5555555555554444", "378282246310005", "30569309025904", "6011111111111117"),
        *(
            "DE89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "NL91ABNA0417164300",
            "FR1420041010050500013M02606",
        ),
        *(
            "078-05-1120",
            "AB123456C",
            "AB 12 34 56 C",
            "12345678Z",
            "X1234567L",
            "529.982.247-25",
            "756.9217.0769.85",
        ),
        *(
            "811228-9874",
            "255081416802538",
            "RSSMRA85T10A562S",
            "+4915112345678",
            "+1-202-555-0143",
            "(202) 555-0143",
        ),
        *("11010519491231002X", "S1234567D", "131052-308T", "11.222.333/0001-81"),
    ],
)
def test_number_with_right_check_digits_is_hidden(number: str) -> None:
    assert text(f"of {number} now") == "of REDACTED now"
    assert text(f"of {number} now", pii=False) == f"of {number} now"


@pytest.mark.parametrize(
    "number",
    [
        *("4111111111111112", "4006381333931", "9783161484100", "1700000000123", "4012888888881881234"),
        *(
            "DE89370400440532013001",
            "XX12345678901234567890",
            "12345678A",
            "X1234567A",
            "529.982.247-26",
            "756.9217.0769.86",
        ),
        *(
            "811228-9875",
            "255081416802539",
            "RSSMRA85T10A562T",
            "+02:00",
            "+12.5",
            "192.168.100.200",
            "000-12-3456",
        ),
        *(
            "BG123456C",
            "123-456",
            "2026-01-31",
            "550e8400-e29b-41d4-a716-446655440000",
            "S1234567E",
            "110105194912310021",
        ),
    ],
)
def test_other_number_stays(number: str) -> None:
    assert text(f"of {number} now") == f"of {number} now"


@pytest.mark.parametrize(
    "value",
    [
        "react@18.2.0",
        "logo@2x.png",
        "getty@tty1.service",
        "git@github.com:a/b",
        "celery@web.example",
        "a@localhost",
    ],
)
def test_what_has_an_at_sign_and_is_no_mail_address_stays(value: str) -> None:
    assert text(f"of {value} now") == f"of {value} now"


def test_card_needs_its_beginning_its_length_and_its_check_digit() -> None:
    assert luhn("4111111111111111")
    assert is_card("4111111111111111")
    assert not is_card("1111111111111117")
    assert not is_card("4111111111111112")


@pytest.mark.parametrize(
    "random_id",
    [
        "01a22329-4373-7939-862a-b6933b71e79f",
        "01a246bb-4053-7734-8096-2e415d7d13ce",
        "b18c8632-2266-4668-8665-0967dbc38a39",
        "A47AB8AB-2F4A-4B50-BE21-29FC92218538",
        "4830649618937fd2601e3c3909167cb1",
        "42124688192940b4",
        "00-fb5bb8da7c31eda8dd5c577ca4506bc5-6530213213365245-01",
    ],
)
@pytest.mark.parametrize("around", ["{}", "order {} was paid", "/orders/{}/items", '{{"id": "{}"}}'])
def test_random_id_stays_though_a_card_or_an_account_stands_in_it_by_chance(
    random_id: str, around: str
) -> None:
    assert text(around.format(random_id)) == around.format(random_id)


def test_card_beside_a_random_id_is_hidden() -> None:
    random_id = "b18c8632-2266-4668-8665-0967dbc38a39"
    assert text(f"{random_id} paid by {CARD}") == f"{random_id} paid by REDACTED"


@pytest.mark.parametrize("mail", ["bob@example.com", "o'brien@example.com"])
def test_quotes_around_a_mail_address_stay(mail: str) -> None:
    assert text(f"{{'to': '{mail}', 'cc': \"{mail}\"}}") == "{'to': 'REDACTED', 'cc': \"REDACTED\"}"
