"""Labels are called as Prometheus has it, and those of the app not as ours are."""

from __future__ import annotations

from typing import Any

import pytest

from obs_middleware.label_names import TAKEN_LABELS, is_label_name, may_be_added


@pytest.mark.parametrize("word", ["zone", "_zone", "Zone_7", "_"])
def test_letters_digits_and_underscores_are_a_name(word: str) -> None:
    assert is_label_name(word)
    assert may_be_added(word)


@pytest.mark.parametrize("word", ["", "7a", "a-b", "a.b", "__a", "é", "a\n", " a", 7, None, b"a"])
def test_nothing_else_is_one(word: Any) -> None:
    assert not is_label_name(word)
    assert not may_be_added(word)


@pytest.mark.parametrize("word", TAKEN_LABELS)
def test_a_label_of_ours_is_not_added_again(word: str) -> None:
    assert is_label_name(word)
    assert not may_be_added(word)
