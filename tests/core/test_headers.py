from __future__ import annotations

from typing import Any

import pytest

from obs_middleware.headers import header_values


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Request-ID", "a"), ("Content-Length", "5")],
        [("content-length", "4"), ("x-request-id", "a"), ("CONTENT-LENGTH", "5")],
        (("X-Request-Id", "a"), ["content-length", "5"]),
    ],
)
def test_headers_are_found_in_any_case_and_the_last_one_counts(headers: Any) -> None:
    assert header_values(headers, ("x-request-id", "x-id", "content-length")) == ("a", None, "5")


@pytest.mark.parametrize("name", [b"X-Request-ID", bytearray(b"X-Request-ID"), memoryview(b"x-request-id")])
def test_headers_of_bytes_may_be_of_any_buffer(name: Any) -> None:
    assert header_values([(name, b"a")], (b"x-request-id", b"x-id")) == (b"a", None)
