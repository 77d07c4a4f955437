"""The cheap look: a text is clean or not, and digits do not matter to it."""

from __future__ import annotations

import random

import pytest

from obs_middleware.redaction import Redactor
from obs_middleware.redaction.anchors import Anchors, shape, small
from tests.core.redaction.corpus import planted
from tests.core.redaction.hiding import SECRET


def test_no_planted_secret_is_in_a_text_that_is_clean_at_a_look() -> None:
    anchors = Anchors()
    clean = [one.kind for one in planted("planted.txt") if anchors.is_clean(one.message)]
    assert clean == []


def test_answer_is_that_of_every_text_of_the_same_shape() -> None:
    anchors = Anchors()
    for one in planted("planted.txt"):
        if one.message.isascii():
            assert not anchors.is_clean(shape(one.message).decode()), one.kind


@pytest.mark.parametrize(
    "text",
    [
        "order 48213 paid in 312 ms",
        "worker 7 of 12 on web-3",
        "GET /items/42 200",
        "97 % done",
        "a=1 b=2",
        "",
    ],
)
def test_plain_message_is_clean(text: str) -> None:
    assert Anchors().is_clean(text)


def test_own_key_is_looked_for_in_every_spelling() -> None:
    redactor = Redactor(keys=["badge_no"])
    for key in ("badge_no", "badgeNo", "BADGE-NO", "badgeno"):
        assert redactor.text(f"{key}={SECRET}") == f"{key}=REDACTED"


def test_capitals_become_small_and_every_character_keeps_its_place() -> None:
    for text in ("ABC", "İSTANBUL Password", "ẞ"):
        assert len(small(text)) == len(text)
    assert small("Password") == "password"


def test_text_is_not_clean_by_its_words_where_it_is_not_clean_as_a_whole() -> None:
    anchors = Anchors()
    texts = [one.message for one in planted("planted.txt") if one.message.isascii()]
    words = sorted({word for message in texts for word in message.split()})
    source = random.Random(1)
    texts += [" ".join(source.choices(words, k=3)) for _ in range(3000)]
    texts += [
        "the customer id 48",
        "on id",
        "national id",
        "payment method",
        "connection string",
        "saml response",
    ]
    for _ in range(2):  # words are remembered
        for value in texts:
            assert anchors.is_clean_shape(shape(value)) <= anchors.is_clean(value), value
