"""Which headers are attributes of the server span: those that the standard variables of the instrumentations name.

`OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST` and `…_SERVER_RESPONSE` list names or regular expressions,
`OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS` those whose values are hidden; our Redactor hides the rest
of the secrets. Attributes are `http.request.header.<name>` and `http.response.header.<name>`. Names are in lower
case, with their dashes (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server).
Imported where one of the first two variables is set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from opentelemetry.util.http import SanitizeValue, get_custom_headers

if TYPE_CHECKING:
    from obs_middleware.redaction import Redactor
    from obs_middleware.request import RequestInfo

REQUEST = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"
RESPONSE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE"
SANITIZE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS"

_CHARACTERS = 1024  # of one value
_IsWanted = Callable[[str], object]


class CapturedHeaders:
    """What the variables say, and the attributes that follow from it.

    Attributes:
        has_request, has_response: whether any header of it is wanted.

    Raises:
        re.error: one of the expressions is none.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._sanitizer = SanitizeValue(get_custom_headers(SANITIZE))
        request, response = get_custom_headers(REQUEST), get_custom_headers(RESPONSE)
        self.has_request, self.has_response = bool(request), bool(response)
        self._is_request_wanted, self._is_response_wanted = _one_of(request), _one_of(response)

    def of_request(self, info: RequestInfo) -> dict[str, list[str]]:
        """Return the attributes of a request's headers; repeated ones are joined, as `RequestInfo.header` has them."""
        names = dict.fromkeys(map(str.lower, info.header_names()))
        fields = [(name, info.header(name) or "") for name in names]
        return self._attributes("http.request.header", fields, self._is_request_wanted)

    def of_response(self, fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        """Return the attributes of a response's headers."""
        return self._attributes("http.response.header", fields, self._is_response_wanted)

    def _attributes(
        self, prefix: str, fields: Iterable[tuple[str, str]], is_wanted: _IsWanted
    ) -> dict[str, list[str]]:
        attributes: dict[str, list[str]] = {}
        for name, value in fields:
            if is_wanted(name):
                attributes.setdefault(f"{prefix}.{name.lower()}", []).append(self._value(name, value))
        return attributes

    def _value(self, name: str, value: str) -> str:
        if self._redactor.is_secret_key(name):
            return self._redactor.mark(value)
        sanitized: str = self._sanitizer.sanitize_header_value(name, value)
        return self._redactor.text(sanitized, limit=_CHARACTERS)


def _one_of(expressions: list[str]) -> _IsWanted:
    return re.compile("|".join(expressions), re.IGNORECASE).fullmatch
