"""Passwords in URLs and names of servers."""

from __future__ import annotations

import pytest

from tests.core.redaction.hiding import SECRET, text


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg2://app:{SECRET}@db.internal:5432/shop?sslmode=require",
        f"mongodb+srv://admin:{SECRET}@cluster0.example.net/test",
        f"redis://:{SECRET}@cache:6379/0",
        f"redis://u:{SECRET}@[::1]:6379",
        f"mysql://root:a@{SECRET}@127.0.0.1/shop",
        f"jdbc:oracle:thin:scott/{SECRET}@//db:1521/ORCL",
    ],
)
def test_password_of_a_url_is_hidden(url: str) -> None:
    assert SECRET not in text(f"could not connect to {url}")


@pytest.mark.parametrize(
    "url", ["redis://cache:6379/0", "https://example.org/@jane/post", "postgresql://app:***@db/shop"]
)
def test_url_without_a_password_stays(url: str) -> None:
    assert text(f"connected to {url}") == f"connected to {url}"
