"""What is generated from the code is fresh."""

from __future__ import annotations

from tests.project.support import script


def test_keywords_that_editors_know_are_the_settings() -> None:
    keywords = script("settings_keywords")
    assert keywords.KEYWORDS.read_text() == keywords.module(), "call `make settings`"


def test_metrics_that_lint_knows_are_those_of_the_pages() -> None:
    """It takes seconds, because apps of Starlette and Django serve requests under each set of names."""
    families = script("metric_families")
    assert families.TARGET.read_text() == families.text(), "call `make families`"
