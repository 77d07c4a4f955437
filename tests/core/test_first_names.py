"""The first so many names are told apart, whatever comes after them."""

from __future__ import annotations

from obs_middleware.first_names import FirstNames


def test_the_first_names_stay_and_no_later_one_is_told_apart() -> None:
    names = FirstNames(2)
    assert [names.has(name) for name in ("a", "b", "a", "c", "b", "c")] == [
        True,
        True,
        True,
        False,
        True,
        False,
    ]
