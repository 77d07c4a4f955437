"""Which keys hide their value, in every spelling, and which do not."""

from __future__ import annotations

import tracemalloc

import pytest

from obs_middleware.redaction.redactor import Redactor
from tests.core.redaction.hiding import redactor


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
