"""Every knob in one frozen table, validated once, when built.

Values come from keyword arguments, then the framework's own config (`OBS_*`), then the environment. The table in
docs/settings.md is generated from this file.
"""

from __future__ import annotations

import difflib
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from inspect import iscoroutinefunction
from math import inf
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, structs

from obs_middleware.errors import ConfigError
from obs_middleware.settings import sources
from obs_middleware.settings.origins import Origin, Source

# Eight of the fourteen that OpenTelemetry advises, because each is a sample for each route and status of a scrape:
# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration
SECONDS_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
HttpMetric = Literal[
    "request_duration",
    "time_to_first_byte",
    "request_body_size",
    "response_body_size",
    "active_requests",
    "websocket",
    "none",
]
DjangoMetric = Literal["queries", "caches", "migrations", "none"]
DJANGO_METRICS: tuple[DjangoMetric, ...] = get_args(DjangoMetric)[:-1]
HTTP_METRICS: tuple[HttpMetric, ...] = get_args(HttpMetric)[:-1]
RuntimeMetric = Literal["event_loop", "tasks", "thread_pools", "gc", "open_files", "none"]
RUNTIME_METRICS: tuple[RuntimeMetric, ...] = get_args(RuntimeMetric)[:-1]

_userinfo = re.compile(r"://[^\s'\"]*@")  # a password may have a slash that nobody has escaped
_query = re.compile(r"(://[^\s?'\"]*\?)[^\s'\"]+")
_repeats_twice = re.compile(r"[^\\][+*]\)(?:[+*]|\{\d*,\})").search
# The names that other tools which read LOG_LEVEL give to levels, and the numbers of `logging`.
_LEVEL_NAMES = {
    "warn": "WARNING",
    "fatal": "CRITICAL",
    "trace": "DEBUG",
    "10": "DEBUG",
    "20": "INFO",
    "30": "WARNING",
    "40": "ERROR",
    "50": "CRITICAL",
}
_EVERY_LINE = ("timestamp", "level", "logger", "message")
_PUNCTUATION = r"^[!#-+\-./:-@\[\]-`{-~]*\Z"
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_of_service = re.compile(
    r"_(service_host|service_port(_\w+)?|port(_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)?)\Z"
)
_HIDDEN = "a value that is not shown"
_MISSPELT = 0.8  # how alike a name must be to be taken for a misspelt one
_FLAGS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def _wants(text: str, **bounds: Any) -> Meta:
    return Meta(extra={"wants": text}, **bounds)


def _about(text: str) -> Meta:
    return Meta(description=text)


_Flag = Annotated[bool, _wants("true or false")]
_Name = Annotated[str, _wants("a name such as 'checkout'", min_length=1)]
_Names = Annotated[tuple[str, ...], _wants("names such as 'iban,tax_id'")]
_DjangoMetrics = Annotated[tuple[DjangoMetric, ...], _wants(f"some of {', '.join(DJANGO_METRICS)}; or none")]
_PathPatterns = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[/*][^?#]*\Z")], ...],
    _wants("paths in which * stands for any text, such as '/internal/*,/favicon.ico'"),
]
_TenantCallback = Annotated[
    Any, _wants("a function of a RequestInfo, or its place such as 'shop.tenants:of'")
]
_Number = Annotated[int, _wants("a whole number, 1 or more", ge=1)]
_Patterns = Annotated[
    tuple[str, ...],
    Meta(extra={"wants": "regular expressions such as 'INV-[0-9]{8}', as a text one a line", "lines": True}),
]
_Callback = Annotated[Any, _wants("a function of a text, or its place such as 'shop.logs:hide'")]
_Count = Annotated[int, _wants("a whole number, 10 or more", ge=10)]
_Length = Annotated[int, _wants("a whole number from 16 to 1024", ge=16, le=1024)]
_Punctuation = Annotated[
    str,
    _wants(
        "ASCII punctuation such as '._-', without blank, comma, quote and backslash", pattern=_PUNCTUATION
    ),
]
_Address = Annotated[Literal["full", "truncated", "none"], _wants("full, truncated or none")]
_Path = Annotated[
    str, _wants("a path such as '/metrics', no query, no slash at its end", pattern=r"^(/[^/?#\s]+)+\Z")
]
_Header = Annotated[str, _wants("a header name such as 'X-Request-ID'", pattern=r"^[A-Za-z0-9-]+\Z")]
_Token = Annotated[str, _wants("8 or more printable ASCII characters", pattern=r"^[!-~]{8,}\Z")]
_Seconds = Annotated[float, _wants("a number of seconds, 0 or more", ge=0, le=3600)]
_Patience = Annotated[float, _wants("a number of seconds from 0.1 to 3600", ge=0.1, le=3600)]
_Tokens = Annotated[
    str, _wants("8 or more printable ASCII characters", pattern=r"^[!-~]{8,}( +[!-~]{8,})*\Z")
]
_Networks = Annotated[tuple[str, ...], _wants("networks such as '10.0.0.0/8,::1', or unix")]
_Access = Annotated[Literal["auto", "open", "both"], _wants("auto, open or both")]
_Port = Annotated[int, _wants("a port from 1 to 65535", ge=1, le=65535)]
_Ratio = Annotated[float, _wants("a number between 0 and 1", ge=0, le=1)]
_Url = Annotated[str, _wants("a URL such as 'http://localhost:4318'", pattern=r"^(?i:https?)://[^\s/]")]
_Bounds = Annotated[
    tuple[float, ...],
    Meta(extra={"wants": "ascending positive seconds such as '0.1,0.5,1'", "ascends": True}),
]
_Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    _wants("DEBUG, INFO, WARNING, ERROR or CRITICAL"),
]
_Mode = Annotated[Literal["mask", "hash"], _wants("mask or hash")]
_Setup = Annotated[Literal["true", "false", "force"], _wants("true, false or force")]
_Bytes = Annotated[int, _wants("a number of bytes, 1024 or more", ge=1024)]
_Renames = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[^=\s]+=[^=\s]+\Z")], ...],
    _wants("old and new names such as 'level=severity,logger=log.logger'"),
]
_Caller = Annotated[Literal["never", "warnings", "always"], _wants("never, warnings or always")]
_HttpMetrics = Annotated[tuple[HttpMetric, ...], _wants(f"some of {', '.join(HTTP_METRICS)}; or none")]
_RuntimeMetrics = Annotated[
    tuple[RuntimeMetric, ...], _wants(f"some of {', '.join(RUNTIME_METRICS)}; or none")
]
_MetricNames = Annotated[
    tuple[
        Literal[
            "opentelemetry",
            "classic",
            "both",
            "prometheus-fastapi-instrumentator",
            "starlette-exporter",
            "prometheus_flask_exporter",
            "django-prometheus",
        ],
        ...,
    ],
    _wants(
        "opentelemetry, classic, both, prometheus-fastapi-instrumentator, starlette-exporter, "
        "prometheus_flask_exporter or django-prometheus; or several of them",
        min_length=1,
    ),
]
_Detail = Annotated[Literal["route", "status"], _wants("route or status")]
_RouteBounds = Annotated[
    tuple[tuple[str, tuple[float, ...]], ...],
    Meta(
        extra={
            "wants": "bounds by route, {'/reports/{id}': (1, 10, 60)}, as a text '/reports/{id}=1,10,60' one a line",
            "bounds": True,
        }
    ),
]
_Format = Annotated[Literal["auto", "json", "pretty"], _wants("auto, json or pretty")]
_Prefix = Annotated[
    str, _wants("the beginning of a metric's name such as 'shop'", pattern=r"^[a-zA-Z][a-zA-Z0-9_]*\Z")
]
_DefaultLabels = Annotated[Literal["target_info", "series", "none"], _wants("target_info, series or none")]
_Kept = Annotated[int, _wants("a whole number, 0 or more", ge=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one Observer.

    Raises:
        ConfigError: a value is not of the type that its setting wants.
    """

    service_name: Annotated[_Name, _about("`service.name` of logs and traces")] = "unknown_service"
    service_version: Annotated[_Name | None, _about("`service.version` of logs and traces")] = None
    environment: Annotated[
        _Name | None, _about("unset: `production`, or `development` where the framework's debug flag is on")
    ] = None
    metrics_path: Annotated[
        _Path | None,
        _about("the metrics page; as of every path, `None`, or empty in the environment: no such page"),
    ] = "/metrics"
    metrics_token: Annotated[
        _Tokens | None,
        _about(
            "the page then wants `Authorization: Bearer …`; several, while one is replaced: a blank between"
        ),
    ] = None
    metrics_networks: Annotated[_Networks, _about("whose callers may ask for the page")] = ()
    metrics_access: Annotated[
        _Access,
        _about(
            "`auto`: who has the token or comes from the networks; where none is set, who came through no proxy. "
            "`both`: token and network; `open`: everybody"
        ),
    ] = "auto"
    metrics_buckets: Annotated[_Bounds, _about("bounds of the durations")] = SECONDS_BUCKETS
    metrics_route_buckets: Annotated[
        _RouteBounds, _about("other bounds of the durations of some routes; their first slash may be missing")
    ] = ()
    native_histograms: Annotated[
        _Flag, _about("histograms of durations are native ones too, for a Prometheus that asks for protobuf")
    ] = False
    metrics_detail: Annotated[
        _Detail,
        _about("`status`: time to first byte and sizes by status and error too, and with all their buckets"),
    ] = "route"
    metrics_group_status: Annotated[_Flag, _about("show a status as its class, `2xx`")] = False
    metric_names: Annotated[
        _MetricNames, _about("whose names the HTTP metrics have; `both`: opentelemetry and classic")
    ] = ("opentelemetry",)
    http_metrics: Annotated[_HttpMetrics, _about("which of OpenTelemetry's HTTP metrics there are")] = (
        HTTP_METRICS
    )
    runtime_metrics: Annotated[
        _RuntimeMetrics, _about("what is measured of the event loop, Python and its threads; `none`: nothing")
    ] = RUNTIME_METRICS
    metrics_max_series: Annotated[_Count, _about("label sets kept; later ones share one overflow set")] = 5000
    django_metrics: Annotated[
        _DjangoMetrics, _about("what is counted of Django besides requests; `none`: nothing")
    ] = DJANGO_METRICS
    django_health_databases: Annotated[
        _Names | None, _about("Django's databases that readiness asks; unset: all; `()`: none")
    ] = None
    n_plus_one_queries: Annotated[
        _Number | None, _about("warn where one request makes one query so often (N+1); Django's queries")
    ] = 20
    exclude_paths: Annotated[
        _PathPatterns, _about("left out of metrics, traces and the access log; `*` is any text")
    ] = ()
    tenant_header: Annotated[_Header | None, _about("the header that names the tenant of a request")] = None
    tenant_baggage: Annotated[_Name | None, _about("the key of the caller's baggage that names it")] = None
    tenant_callback: Annotated[
        _TenantCallback | None, _about("a function that returns the tenant of a RequestInfo; asked first")
    ] = None
    tenant_label: Annotated[_Name, _about("the label of the HTTP metrics that has the tenant")] = "tenant"
    tenants: Annotated[_Names, _about("whose requests the label tells apart; others are `other`")] = ()
    tenant_max: Annotated[_Number, _about("without `tenants`: so many are told apart, the first")] = 100
    metrics_workers: Annotated[
        _Name,
        _about(
            "whose metrics are one: `auto`, those that one supervisor has started; `off`, each process's own; "
            "else a name that such processes have in common"
        ),
    ] = "auto"
    metrics_directory: Annotated[
        _Name | None,
        _about("where several processes share metrics; unset: `/dev/shm`, or the system's for files"),
    ] = None
    metrics_prefix: Annotated[
        _Prefix | None, _about("stands before the names that `observer.metrics` declares, with one `_`")
    ] = None
    metrics_default_labels: Annotated[
        _DefaultLabels,
        _about(
            "where `service`, `version`, `environment` and `instance` stand: on `target_info`, or on each "
            "series of `observer.metrics`"
        ),
    ] = "target_info"
    events_kept: Annotated[_Kept, _about("the last ones of `observer.events`, for `recent()`")] = 256
    live_path: Annotated[_Path | None, _about("liveness probe: asks no dependency")] = "/health/live"
    ready_path: Annotated[_Path | None, _about("readiness probe: runs the checks")] = "/health/ready"
    startup_path: Annotated[_Path | None, _about("startup probe")] = "/health/startup"
    health_path: Annotated[
        _Path | None,
        _about(
            "readiness too, and above the groups of checks; with `/livez`, `/readyz` and `/startupz`, "
            "where the app has no page there; `None`: none of them"
        ),
    ] = "/health"
    health_token: Annotated[
        _Tokens | None, _about("bearer token, or several, that shows details outside development")
    ] = None
    health_networks: Annotated[_Networks, _about("whose callers see details outside development")] = ()
    health_access: Annotated[_Access, _about("who sees details, as `metrics_access`")] = "auto"
    ops_port: Annotated[
        _Port | None, _about("answers our paths in place of the app's port, also while the app is stuck")
    ] = None
    ops_host: Annotated[_Name, _about("the address of `ops_port`; `0.0.0.0`: that of all networks")] = (
        "127.0.0.1"
    )
    watchdog_seconds: Annotated[
        _Patience | None,
        _about("liveness fails when the event loop, or under WSGI all requests, stand still for so long"),
    ] = None
    drain_seconds: Annotated[
        _Seconds | None,
        _about(
            "how long a SIGTERM waits, while readiness is 503, before the server gets it; "
            "unset: 5 in a pod of Kubernetes, else 0"
        ),
    ] = None
    drain_path: Annotated[
        _Path | None, _about("a POST with `health_token` begins to drain; there is none without the token")
    ] = "/health/drain"
    trusted_proxies: Annotated[
        _Networks, _about("whose `X-Forwarded-For` and `Forwarded` are believed; `unix`: a socket's")
    ] = ()
    request_id_header: Annotated[_Header, _about("taken from the caller when safe")] = "X-Request-ID"
    correlation_id_header: Annotated[_Header, _about("the caller's, else the request ID")] = (
        "X-Correlation-ID"
    )
    error_response: Annotated[
        _Flag, _about("answer an exception of a raw app, where nobody else does, with a 500 that has the ID")
    ] = True
    trust_request_ids: Annotated[_Flag, _about("take the callers' IDs; else each request gets new ones")] = (
        True
    )
    request_id_max_length: Annotated[_Length, _about("longer IDs of callers are replaced")] = 128
    request_id_characters: Annotated[
        _Punctuation, _about("allowed in callers' IDs beside letters and digits")
    ] = "._~:/+=@-|#;"
    send_correlation_id: Annotated[_Flag, _about("send the correlation ID to the client too")] = True
    client_address: Annotated[
        _Address, _about("in lines and spans: whole, as its network (/24, /48), or not at all")
    ] = "full"
    log_setup: Annotated[
        _Setup, _about("install our handler where the root logger has none; `force`: in place of others too")
    ] = "true"
    log_level: Annotated[_Level, _about("level of the root logger, where the handler is ours")] = "INFO"
    log_format: Annotated[_Format, _about("`auto`: JSON, but pretty on a terminal in development")] = "auto"
    log_line_bytes: Annotated[_Bytes, _about("longest line; runtimes of containers split longer ones")] = (
        16_384
    )
    log_rename_fields: Annotated[_Renames, _about("our fields under other names")] = ()
    log_caller: Annotated[_Caller, _about("which lines say the file, line and function that logged")] = (
        "warnings"
    )
    access_log: Annotated[_Flag, _about("write one line for each request")] = True
    flush_each_request: Annotated[
        _Flag | None,
        _about(
            "write a request's line and send its span before the process stands still; "
            "unset: on AWS Lambda and under uWSGI without threads"
        ),
    ] = None
    redact_pii: Annotated[_Flag, _about("hide personal data; credentials are always hidden")] = True
    redact_keys: Annotated[_Names, _about("further keys whose values are hidden")] = ()
    redact_allowed_keys: Annotated[
        _Names, _about("keys whose values are shown, though they sound secret")
    ] = ()
    redact_patterns: Annotated[
        _Patterns, _about("further secrets; if a pattern has a group, that is the secret")
    ] = ()
    redact_callback: Annotated[
        _Callback | None, _about("gets each text last, and returns it without whatever else is secret")
    ] = None
    redact_mode: Annotated[_Mode, _about("`hash`: equal secrets get equal words, which nobody can undo")] = (
        "mask"
    )
    redact_hash_key: Annotated[
        _Token | None, _about("of the words of `hash`; unset: a random one for each process and its forks")
    ] = None
    tracing_enabled: Annotated[_Flag, _about("make server spans; trace context goes on without them")] = True
    trace_sample_ratio: Annotated[_Ratio | None, _about("of new traces; unset: 0.1, in development 1")] = None
    otlp_endpoint: Annotated[
        _Url | None, _about("base URL of an OTLP/HTTP collector; unset: nothing is sent")
    ] = None

    def __post_init__(self) -> None:
        for name, type_ in _types().items():
            msgspec.structs.force_setattr(self, name, _convert(getattr(self, name), type_, label=name))
        for name in ("redact_callback", "tenant_callback"):
            msgspec.structs.force_setattr(self, name, _callback(name, getattr(self, name)))
        for pattern in self.redact_patterns:
            _check_pattern(pattern)
        paths = [path for name in sources.PATHS if (path := getattr(self, name)) is not None]
        if len(set(paths)) < len(paths):
            raise ConfigError(
                f"the paths of metrics, live, ready, startup and drain must differ, got {', '.join(paths)}"
            )
        _check_renames(self.log_rename_fields)
        if self.request_id_header.lower() == self.correlation_id_header.lower():
            raise ConfigError(
                f"request_id_header and correlation_id_header must differ, got {self.request_id_header} twice"
            )

    @property
    def own_paths(self) -> dict[str, str]:
        """Return the paths that we answer, each with the name of its setting."""
        if self.ops_port is not None:  # the app has its own port to itself
            return {}
        return {
            path: name
            for name in sources.PATHS
            if (path := getattr(self, name)) is not None
            and (name != "drain_path" or self.health_token is not None)
        }

    @property
    def exports_spans(self) -> bool:
        """Tell whether spans are to be sent anywhere by a provider of ours."""
        return self.otlp_endpoint is not None and self.tracing_enabled

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={_spelled(name, getattr(self, name))}' for name in _types())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, _spelled(name, getattr(self, name))) for name in _types()]

    @classmethod
    def load(
        cls, *, config: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None, **keywords: Any
    ) -> Settings:
        """Build Settings from all sources.

        Args:
            config: the framework's own settings; only names that begin with `OBS_` are read.
            env: the environment, `os.environ` unless given.
            keywords: settings by their own name; they beat every other source.

        Raises:
            ConfigError: a name is unknown, or a value is not of the type wanted.
        """
        found = {}
        for name, value, label, _ in _given(config or {}, os.environ if env is None else env, keywords):
            _refuse_unknown(name, label=label)
            found[name] = value, label
        return cls(
            **{name: _convert(value, _types()[name], label=label) for name, (value, label) in found.items()}
        )

    @classmethod
    def origins(
        cls, *, config: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None, **keywords: Any
    ) -> tuple[list[Origin], list[str]]:
        """Return each setting as `load` would have it, with where it comes from, and all that `load` would refuse."""
        found = {name: Origin(name, value, "default") for name, value in structs.asdict(cls()).items()}
        problems = []
        for name, value, label, source in _given(config or {}, os.environ if env is None else env, keywords):
            try:
                _refuse_unknown(name, label=label)
                found[name] = Origin(name, _convert(value, _types()[name], label=label), source, label)
            except ConfigError as problem:
                problems.append(str(problem))
        try:
            cls(**{one.name: one.value for one in found.values()})
        except ConfigError as problem:
            problems.append(str(problem))
        return [one._replace(value=_without_secrets(one.name, one.value)) for one in found.values()], problems


def _given(
    config: Mapping[str, Any], env: Mapping[str, str], keywords: Mapping[str, Any]
) -> Iterator[tuple[str, Any, str, Source]]:
    """Yield (setting, value, the user's name for it, its source), the weakest first; names of others are left out."""
    found: tuple[tuple[Source, Iterator[tuple[str, Any, str]]], ...] = (
        ("environment", sources.read({}, env)),
        ("framework", sources.read(config, {})),
    )
    for source, read in found:
        for name, value, label in read:
            if not _is_foreign(name):
                yield name, value, label, source
    for name, value in keywords.items():
        yield name, value, name, "keyword"


def _is_foreign(name: str) -> bool:
    """Tell whether a name is somebody else's, wherever it stands: it resembles none of ours.

    So are the names that Kubernetes makes of a service, such as `OBS_METRICS_PORT`, because they name services.
    """
    if name in _types():
        return False
    is_near = difflib.get_close_matches(name, _types(), n=1, cutoff=_MISSPELT)
    return not is_near or _of_service.search(name) is not None


def _refuse_unknown(name: str, *, label: str) -> None:
    if name in _types():
        return
    prefix = label[: len(label) - len(name)]
    near = [prefix + (hit.upper() if prefix else hit) for hit in difflib.get_close_matches(name, _types())]
    cure = f"did you mean {' or '.join(near)}?" if near else "see the table of settings in docs/settings.md"
    raise ConfigError(f"{label} is not a setting: {cure}")


def _convert(value: Any, type_: Any, *, label: str) -> Any:
    """Return the value as its setting's type; a text may stand for any type, as in the environment."""
    if isinstance(value, bool) and "true" in get_args(_bare_type(type_)):
        return str(value).lower()
    if type(value) is int and "DEBUG" in get_args(_bare_type(type_)):  # logging.INFO
        value = _LEVEL_NAMES.get(str(value), value)
    is_text = isinstance(value, str)
    given = _parse(value, type_) if isinstance(value, str) else value
    try:
        pairs = [*given.items()] if isinstance(given, Mapping) else given
        converted = msgspec.convert(pairs, type_, strict=not is_text)
    except msgspec.ValidationError:
        raise ConfigError(_complaint(label, type_, value)) from None
    extras = _extras(type_)
    if "ascends" in extras:
        converted = _finite(converted)
    elif "bounds" in extras:
        converted = tuple((route, _finite(bounds)) for route, bounds in converted)
    if not all(map(_ascends, _bounds_in(converted, type_))):
        raise ConfigError(_complaint(label, type_, value))
    return converted


def _finite(bounds: tuple[float, ...]) -> tuple[float, ...]:
    """Return bounds without a last one that is infinite, which each histogram has by itself."""
    return bounds[:-1] if bounds and bounds[-1] == inf else bounds


def _bounds_in(value: Any, type_: Any) -> list[tuple[float, ...]]:
    extras = _extras(type_)
    return [value] if "ascends" in extras else [bounds for _, bounds in value] if "bounds" in extras else []


def _ascends(bounds: tuple[float, ...]) -> bool:
    """Tell whether there are bounds, positive and ascending."""
    return bool(bounds) and all(lower < upper for lower, upper in zip((0.0, *bounds), bounds, strict=False))


def _parse(value: str, type_: Any) -> Any:
    bare, text = _bare_type(type_), value.strip()
    extras = _extras(type_)
    if bare is bool:
        return _FLAGS.get(text.lower(), text)
    if "lines" in extras or "bounds" in extras:
        lines = [line.strip() for line in value.splitlines() if line.strip()]
        return [*map(_route_and_bounds, lines)] if "bounds" in extras else lines
    if get_origin(bare) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if get_origin(bare) is Literal:
        text = _LEVEL_NAMES.get(text.lower(), text)
        if "true" in get_args(bare) and text.lower() in _FLAGS:
            text = str(_FLAGS[text.lower()])
        return next((choice for choice in get_args(bare) if choice.lower() == text.lower()), text)
    return text


def _route_and_bounds(line: str) -> tuple[str, list[str]]:
    route, _, bounds = line.rpartition("=")
    return route.strip(), [bound.strip() for bound in bounds.split(",")]


def _callback(name: str, value: Any) -> Any:
    """Return the function that a setting names."""
    if isinstance(value, str):
        try:
            value = pkgutil.resolve_name(value)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"{name} must be a function that can be imported, got {value!r}: {error}"
            ) from None
    if value is not None and not callable(value):
        raise ConfigError(_complaint(name, _types()[name], value))
    if iscoroutinefunction(value):
        raise ConfigError(
            f"{name} must be a function that is not async, because nobody awaits it, got {value!r}"
        )
    return value


def _check_pattern(pattern: str) -> None:
    """Raise unless the pattern compiles, finds no empty text, and takes time in line with the text's length."""
    try:
        matches_nothing = re.compile(pattern).search("") is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(
            f"redact_patterns has {pattern!r}, which is no regular expression: {error}"
        ) from None
    if matches_nothing:
        raise ConfigError(
            f"redact_patterns has {pattern!r}, which matches an empty text: it would hide between all characters"
        )
    if _repeats_twice(pattern):
        raise ConfigError(
            f"redact_patterns has {pattern!r}, which repeats a repetition: one long text could take hours. "
            "Give the inner or the outer one a bound such as {1,64}"
        )


def _check_renames(renames: Iterable[str]) -> None:
    """Raise where two fields would have one name, so that one of them would be lost."""
    old, new = zip(*(pair.split("=", 1) for pair in renames), strict=True) if renames else ((), ())
    names = [*new, *(field for field in _EVERY_LINE if field not in old)]
    twice = next((name for name in [*old, *names] if old.count(name) > 1 or names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"log_rename_fields must give each field a name of its own, got {twice} twice")


def _complaint(label: str, type_: Any, value: Any) -> str:
    wants = next(meta.extra["wants"] for meta in _metas(type_) if meta.extra)
    return f"{label} must be {wants}, got {_spelled(label, value)}"


def _spelled(label: str, value: Any) -> str:
    if _is_secret(label, value):
        return _HIDDEN
    return _without_credentials(repr(value))


def _without_secrets(label: str, value: Any) -> Any:
    """Return a value without the secrets in it."""
    if _is_secret(label, value):
        return _HIDDEN
    if isinstance(value, tuple):
        return tuple(_without_secrets(label, one) for one in value)
    return _without_credentials(value) if isinstance(value, str) else value


def _without_credentials(text: str) -> str:
    """Return a text without the user, the password and the query of a URL in it."""
    return _query.sub(r"\1REDACTED", _userinfo.sub("://REDACTED@", text))


def _is_secret(label: str, value: Any) -> bool:
    return bool(value) and ("token" in label.lower() or "hash_key" in label.lower())


def _bare_type(type_: Any) -> Any:
    """Return a setting's type without its annotations and without None."""
    while get_origin(type_) is Annotated or type(None) in get_args(type_):
        type_ = get_args(type_)[0]
    return type_


def _extras(type_: Any) -> set[str]:
    return {name for meta in _metas(type_) for name in meta.extra or ()}


def _metas(type_: Any) -> Iterator[Any]:
    for part in get_args(type_):
        if isinstance(part, Meta):
            yield part
        elif get_origin(part) is not None:
            yield from _metas(part)


@cache
def _types() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)
