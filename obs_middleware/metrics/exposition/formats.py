"""The format of a page as its scraper asks for it, and prometheus-client's own encoder for any family in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

EOF = "# EOF\n"

_PART = 20  # samples that are encoded at a time: less than a slice
_SUFFIXES = ("_created", "_gsum", "_gcount")  # of samples that Prometheus text puts behind the family


_PROTOBUF = "application/vnd.google.protobuf"
_MESSAGE = "io.prometheus.client.MetricFamily"
_TEXTS = ("text/plain", "application/openmetrics-text", "text/*", "application/*", "*/*")


class Format(msgspec.Struct, frozen=True):
    """One format of the page as text.

    Attributes:
        has_bare_names: names that need no quotes stand there as they are, whatever the scheme of escaping.
    """

    encode: Callable[[Any], bytes]
    is_openmetrics: bool
    has_bare_names: bool = True

    def text(self, *families: Metric) -> str:
        """Return families as prometheus-client writes them."""
        page = self.encode(_Families(families)).decode()
        return page.removesuffix(EOF) if self.is_openmetrics else page

    def parts(self, family: Metric) -> Iterator[str]:
        """Yield the text of one family, a few samples at a time."""
        samples = family.samples
        if type(samples) is not list or len(samples) <= _PART:
            yield self.text(family)
            return
        late = () if self.is_openmetrics else tuple(family.name + suffix for suffix in _SUFFIXES)
        first = [sample for sample in samples if sample.name not in late]
        head = self.text(_with(family, []))
        yield head
        for start in range(0, len(first), _PART):
            yield self.text(_with(family, first[start : start + _PART])).removeprefix(head)
        if len(first) < len(samples):
            last = [sample for sample in samples if sample.name in late]
            yield self.text(_with(family, last)).removeprefix(head)


TEXT = Format(generate_latest, is_openmetrics=False)
OPENMETRICS = Format(generate_openmetrics, is_openmetrics=True)


class Protobuf(msgspec.Struct, frozen=True):
    """The page as messages of protobuf.

    Attributes:
        has_any_names: names may hold any characters.
    """

    has_any_names: bool


def choose(accept: str) -> tuple[Format | Protobuf, str]:
    """Return the format that an Accept header asks for, and its content type."""
    found = _protobuf(accept) if _PROTOBUF in accept.lower() else None
    return _text(accept) if found is None else found


def _protobuf(accept: str) -> tuple[Protobuf, str] | None:
    """Return protobuf, unless a format of text is wanted more, or as much and before it (RFC 9110, section 12.5.1)."""
    found, weight = None, 0.0
    for kind, asked in map(_media_range, accept.split(",")):
        is_protobuf = kind == _PROTOBUF and (asked.get("proto"), asked.get("encoding")) == (
            _MESSAGE,
            "delimited",
        )
        if (is_protobuf or kind in _TEXTS) and _weight(asked) > weight:
            found, weight = asked if is_protobuf else None, _weight(asked)
    if found is None:
        return None
    escaping = "allow-utf-8" if found.get("escaping") == "allow-utf-8" else "underscores"
    content_type = f"{_PROTOBUF}; proto={_MESSAGE}; encoding=delimited; escaping={escaping}"
    return Protobuf(escaping == "allow-utf-8"), content_type


def _media_range(part: str) -> tuple[str, dict[str, str]]:
    kind, *parameters = part.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip().lower(), {name.strip().lower(): value.strip(' \t"') for name, _, value in pairs}


def _weight(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", 1))
    except ValueError:
        return 1.0


def _text(accept: str) -> tuple[Format, str]:
    try:
        encode, content_type = choose_encoder(accept)
    except Exception:  # a version that is no number
        encode, content_type = choose_encoder("")
    asked = getattr(encode, "keywords", {})
    has_bare_names = asked.get("escaping", "underscores") in ("underscores", "allow-utf-8")
    is_version_1 = str(asked.get("version", "1")).partition(".")[0] == "1"
    is_openmetrics = content_type.startswith("application/openmetrics-text")
    return Format(encode, is_openmetrics, has_bare_names and is_version_1), content_type


class _Families:
    """Families as a collector, which is what prometheus-client encodes."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> tuple[Metric, ...]:
        return self._families


def _with(family: Metric, samples: list[Any]) -> Metric:
    part = copy.copy(family)
    part.samples = samples
    return part
