"""National IDs are known by their check digits."""

from __future__ import annotations

import pytest

from obs_middleware.redaction.national_ids import is_ean, luhn
from tests.core.redaction.hiding import text


@pytest.mark.parametrize("number", ["536-90-4399", "756.9217.0769.85", "12345678Z", "RSSMRA85T10A562S"])
def test_national_id_is_hidden(number: str) -> None:
    assert text(f"of {number} now") == "of REDACTED now"


@pytest.mark.parametrize("number", ["756.9217.0769.86", "12345678A", "RSSMRA85T10A562T"])
def test_number_whose_check_digit_is_wrong_stays(number: str) -> None:
    assert text(f"of {number} now") == f"of {number} now"


def test_check_digits_of_cards_and_articles_are_known() -> None:
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")
    assert is_ean("4006381333931")
