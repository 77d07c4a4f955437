"""OpenTelemetry's variables: what each must be, and a warning for one that is not.

They are written for all programs of a pod, in many languages, and read by the SDK too. A bad one therefore never stops
the start: it counts as unset and is warned of once, with its name, its value and what is wanted
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

TRACES, COMMON = "OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"
_ENDPOINTS = (f"{TRACES}ENDPOINT", f"{COMMON}ENDPOINT")
EXPORTERS = {"otlp": "", "otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}  # and their protocol
SAMPLER, SAMPLER_ARG, PROPAGATORS = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_PROPAGATORS"
HTTP_PROTOCOL = "http/protobuf"  # the default of the specification
_PROTOCOLS = (
    HTTP_PROTOCOL,
    "http/json",
    "grpc",
)  # the second by the SDK's own exporter, which sends protobuf

_QUEUE, _BATCH = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_SDK_QUEUE, _SDK_BATCH = 2048, 512  # where the variables are unset
_RESOURCE, _EXPORTER = "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_EXPORTER"
_EXPORTER_NAMES = ("none", "console", *EXPORTERS)
_MILLISECONDS_FROM = 100.0  # nobody waits so many seconds for a batch
_RATIO_SAMPLERS = ("traceidratio", "parentbased_traceidratio")
SAMPLERS = ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off", *_RATIO_SAMPLERS)
_LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_BSP_EXPORT_TIMEOUT",
)
_BATCHES = ("OTEL_BSP_SCHEDULE_DELAY", _QUEUE, _BATCH)
PROVIDER = "OTEL_PYTHON_TRACER_PROVIDER"
_OF_EXPORTER = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "COMPRESSION", "PROTOCOL", "TIMEOUT")
_logger = logging.getLogger("obs")
_userinfo = re.compile(r"(?<=//)[^/\s]*@")

_seen: set[tuple[str, str]] = set()
_waiting: list[str] = []  # warnings that were found before logging is set up


class Wanted(NamedTuple):
    """What a variable must be."""

    is_valid: Callable[[str], bool]
    text: str


def read(name: str, env: Mapping[str, str] | None = None) -> str:
    """Return a variable without blanks around it; empty where it is unset, or not as it must be and so warned of."""
    value = (os.environ if env is None else env).get(name, "").strip()
    wanted = _WANTED.get(name.replace(TRACES, COMMON, 1))
    if value and wanted is not None and not wanted.is_valid(value):
        warn(name, value, wanted.text)
        return ""
    return value


def of_exporter(name: str, env: Mapping[str, str] | None = None) -> str:
    """Return a variable of the OTLP exporter: that of the traces, or else that of all signals."""
    return read(TRACES + name, env) or read(COMMON + name, env)


def items(name: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Return the items of a list, without blanks around them."""
    return [item for item in map(str.strip, read(name, env).split(",")) if item]


def exporters(env: Mapping[str, str] | None = None) -> list[str]:
    """Return the OTLP exporters that `OTEL_TRACES_EXPORTER` names, the default one where it is unset."""
    named = items(_EXPORTER, env) or ["otlp"]
    for name in named:
        if name.lower() not in _EXPORTER_NAMES and not has_entry_point("opentelemetry_traces_exporter", name):
            warn(_EXPORTER, name, "names such as 'otlp,console', or 'none'")
    return [name for name in map(str.lower, named) if name in EXPORTERS]


def protocol(env: Mapping[str, str] | None = None) -> str:
    """Return the protocol; one that `OTEL_TRACES_EXPORTER` names beats that of the other variables."""
    named = next((EXPORTERS[name] for name in exporters(env)), "")
    return named or of_exporter("PROTOCOL", env) or HTTP_PROTOCOL


def endpoint(env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Return the endpoint as a URL and the variable that names it, both empty where none does.

    Over gRPC it may be any target, such as `collector:4317` or `unix:///run/otel.sock`; the exporter reads it itself.
    """
    for name in _ENDPOINTS if exporters(env) else ():
        url = _url(name, env)
        if url:
            return url, name
    return "", ""


def _url(name: str, env: Mapping[str, str] | None) -> str:
    value = read(name, env)
    if value and not is_url(value) and protocol(env) == "grpc":
        return f"http://{value.replace('://', ':')}"
    if value and not is_url(value):
        warn(name, value, "a URL such as 'http://localhost:4318'")
        return ""
    return value


def timeout_seconds() -> float | None:
    """Return the timeout of the exporter; None where it is unset."""
    value = of_exporter("TIMEOUT")
    return seconds(value) if value else None


def seconds(text: str) -> float:
    """Return a timeout of the exporter.

    The specification has milliseconds, Python's SDK seconds: a number of 100 or more can only be the first.

    Raises:
        ValueError: it is no number.
    """
    number = float(text)
    return number / 1000 if number >= _MILLISECONDS_FROM else number


def sampler(env: Mapping[str, str] | None = None) -> tuple[str, float]:
    """Return the name of the sampler, empty where there is none, and the ratio of one that has it."""
    name = read(SAMPLER, env)
    name = name.lower() if name.lower() in SAMPLERS else name
    ratio = read(SAMPLER_ARG, env) if name in _RATIO_SAMPLERS else ""
    if ratio and not _is_ratio(ratio):
        warn(SAMPLER_ARG, ratio, "a number between 0 and 1", cure="it is 1")
        ratio = ""
    return name, float(ratio or 1)


def resource_attributes(env: Mapping[str, str] | None = None) -> list[str]:
    """Return the pairs `key=value` of the resource."""
    pairs: list[str] = []
    others: list[str] = []
    for item in items(_RESOURCE, env):
        key, equals, _ = item.partition("=")
        (pairs if equals and key.strip() else others).append(item)
    for other in others:
        warn(_RESOURCE, other, "pairs such as 'team=checkout,tier=1'")
    return pairs


def is_url(text: str) -> bool:
    """Tell whether it is a URL of http or https with a host."""
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 0) >= 0
    except ValueError:
        return False


def has_entry_point(group: str, name: str) -> bool:
    """Tell whether an installed package offers something of that name."""
    from importlib.metadata import entry_points

    return bool(entry_points(group=group, name=name))


@contextmanager
def readable() -> Iterator[None]:
    """Let the SDK be imported and set up: what it would raise for, or warn of once more, is hidden meanwhile."""
    values: dict[str, str | None] = {
        name: read(name) for name in _READ_BY_SDK if os.environ.get(name, "").strip()
    }
    values.update((name, "") for name in _ENDPOINTS if not _url(name, None))
    if os.environ.get(_RESOURCE):
        values[_RESOURCE] = ",".join(resource_attributes())
    with replaced({**values, **_batch_size()}):
        yield


@contextmanager
def readable_variable(name: str) -> Iterator[None]:
    """Do the same for one variable."""
    with replaced({name: read(name)} if os.environ.get(name) else {}):
        yield


@contextmanager
def replaced(values: Mapping[str, str | None]) -> Iterator[None]:
    """Give variables of the environment other values for a while; an empty one is removed."""
    before = {name: os.environ.get(name) for name in values}
    try:
        for name, value in values.items():
            _put(name, value)
        yield
    finally:
        for name, value in before.items():
            _put(name, value)


def warn(name: str, value: str, wanted: str, *, cure: str = "it is ignored") -> None:
    """Warn of a variable once; when logging is set up, `show_warnings` shows it."""
    if (name, value) not in _seen:
        _seen.add((name, value))
        shown = _userinfo.sub("REDACTED@", value)
        _waiting.append(f"{name} must be {wanted}, got {shown!r}: {cure}")


def show_warnings() -> None:
    """Log the warnings that wait."""
    while _waiting:
        _logger.warning("%s", _waiting.pop(0))


def _batch_size() -> dict[str, str]:
    """Return a batch of the queue's size for one that is larger, for which the SDK would raise."""
    queue, batch = int(read(_QUEUE) or _SDK_QUEUE), int(read(_BATCH) or _SDK_BATCH)
    if batch <= queue:
        return {}
    if read(_BATCH):
        warn(_BATCH, read(_BATCH), f"at most {_QUEUE}, which is {queue}", cure=f"it is {queue}")
    return {_BATCH: str(queue)}


def _put(name: str, value: str | None) -> None:
    if value:
        os.environ[name] = value
    else:
        os.environ.pop(name, None)


def _is_whole(text: str, least: int) -> bool:
    try:
        return int(text) >= least
    except ValueError:
        return False


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _is_sampler(text: str) -> bool:
    return text.lower() in SAMPLERS or has_entry_point("opentelemetry_traces_sampler", text)


_A_FILE = Wanted(os.path.exists, "a file that is there")
_A_LIMIT = Wanted(lambda text: _is_whole(text, 0), "a whole number, 0 or more")
_A_SIZE = Wanted(lambda text: _is_whole(text, 1), "a whole number, 1 or more")
_WANTED: dict[str, Wanted] = {
    f"{COMMON}PROTOCOL": Wanted(lambda text: text in _PROTOCOLS, "http/protobuf or grpc"),
    f"{COMMON}TIMEOUT": Wanted(_is_number, "milliseconds, or seconds where it is below 100"),
    f"{COMMON}COMPRESSION": Wanted(
        lambda text: text.lower() in ("none", "gzip", "deflate"), "none, gzip or deflate"
    ),
    f"{COMMON}CERTIFICATE": _A_FILE,
    f"{COMMON}CLIENT_CERTIFICATE": _A_FILE,
    f"{COMMON}CLIENT_KEY": _A_FILE,
    SAMPLER: Wanted(_is_sampler, f"one of {', '.join(SAMPLERS)}"),
    "OTEL_SDK_DISABLED": Wanted(lambda text: text.lower() in ("true", "false"), "true or false"),
    PROVIDER: Wanted(
        lambda text: has_entry_point("opentelemetry_tracer_provider", text), "the name of an installed one"
    ),
    **dict.fromkeys(_LIMITS, _A_LIMIT),
    **dict.fromkeys(_BATCHES, _A_SIZE),
}
_READ_BY_SDK = (
    SAMPLER,
    PROVIDER,
    *_LIMITS,
    *_BATCHES,
    *(kind + name for kind in (TRACES, COMMON) for name in _OF_EXPORTER),
)
