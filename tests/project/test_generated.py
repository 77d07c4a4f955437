"""What is generated from the code is fresh."""

from __future__ import annotations

from tests.project.support import script


def test_keywords_that_editors_know_are_the_settings() -> None:
    keywords = script("settings_keywords")
    assert keywords.KEYWORDS.read_text() == keywords.module(), "call `make settings`"
