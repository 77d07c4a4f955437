"""One request and its response on the way through: what the adapter has learnt, and what is decided at its end.

Being *current* and being *finished* are two things. `with exchange:` makes it current and puts the former state back,
by value where it ends in another context than the one it began in. `finish()` ends it once, from any thread, and hands
it to the span and the queue. So the span, the histograms and the access line can never disagree.

A copy of an exchange, deep or not, is the exchange itself, because a layer that copies a scope or an environ still
serves the same request. A pickled one comes back as an inert exchange: finished, with its IDs, its path and its route.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextvars import ContextVar, Token
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from opentelemetry import context as otel_context
from opentelemetry.context.context import Context

from obs_middleware import other_ids, process
from obs_middleware._speedups import fast, note, share, share_layout
from obs_middleware.details import Details
from obs_middleware.label_names import may_be_added
from obs_middleware.other_ids import OTHER_IDS
from obs_middleware.record import RequestRecord
from obs_middleware.request import RequestInfo

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.trace import Span

# What is called with an exchange that has ended; the component's name, for our own failures.
OnFinish = tuple[tuple[str, Callable[["Exchange"], None]], ...]


class Owner(Protocol):
    """What an exchange belongs to, the Gateway."""

    response_header_names: tuple[str, str]
    id_header_names: tuple[str, str]

    def report(self, component: str, error: Exception) -> None:
        """Count a failure of our own."""

    def attend_to_details(self, on_finish: OnFinish) -> OnFinish:
        """Return what is called with an exchange that has Details, in place of what would be."""
        raise NotImplementedError

    def left_out(self) -> OnFinish:
        """Return what is called with an exchange that is left out."""
        raise NotImplementedError

    perf_counter: Any  # the clock of `Exchange.started`; type checkers take a Callable here for a method

    def redacted_path(self, path: str) -> str:
        """Return a path without secrets."""
        raise NotImplementedError

    def accepted_id(self, value: str | None) -> str | None:
        """Return an ID if it is safe to repeat, else None."""
        raise NotImplementedError

    def capture_response_headers(self, exchange: Exchange, fields: Iterable[tuple[str, str]]) -> None:
        """Write the headers of the response that the user wants to the span."""

    def forget(self, exchange: Exchange) -> None:
        """Take an exchange that ends in another process out of the active ones."""


CARRIER_KEY = "obs.exchange"  # the key in scope and environ
OTHER_ID_HEADER = "correlation-id"  # django-guid's, and of many an app's own making

CURRENT: ContextVar[Exchange | None] = ContextVar("obs_exchange", default=None)


def _context_calls() -> tuple[Callable[[], Context], Callable[[Context], Any], Callable[[Any], None]]:
    """Return what gets, sets and puts back OpenTelemetry's current context.

    Its own functions are two calls deep each, several times a request; so the variable below them is asked, where it
    is one.
    """
    variable = getattr(getattr(otel_context, "_RUNTIME_CONTEXT", None), "_current_context", None)
    note("context_variable", isinstance(variable, ContextVar))
    if isinstance(variable, ContextVar):
        share(CONTEXT=variable)
        return variable.get, variable.set, variable.reset
    return otel_context.get_current, otel_context.attach, otel_context.detach


get_context, attach, detach = _context_calls()

# By name, because none of these libraries is imported here.
_CANCELLATIONS = {
    ("asyncio", "CancelledError"),
    ("trio", "Cancelled"),
    ("builtins", "GeneratorExit"),
    ("greenlet", "GreenletExit"),
}

# No body follows these, whatever the app hands over (RFC 9110, sections 15.3.5 and 15.4.5).
_BODILESS = (204, 304)


class Outcome(str, Enum):
    """How an exchange ended, as the client has seen it."""

    OK = "ok"
    ERROR = "error"
    CLIENT_DISCONNECT = "client_disconnect"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"


share(CURRENT=CURRENT, OK=Outcome.OK, CARRIER_KEY=CARRIER_KEY)


@share_layout
class Exchange(msgspec.Struct, eq=False):
    """One request and its response.

    An adapter sets `route`, `status` and the byte counts when it learns them. `fields` go to the log lines of the
    request. `error` is the exception seen, until the end. Times are seconds, `started_ns` nanoseconds since 1970.

    A msgspec.Struct, because its attributes are slots and its defaults cost nothing.
    """

    info: RequestInfo
    _on_finish: list[OnFinish]  # one, taken out by the one call of finish() that counts
    _owner: Owner
    # Set by the Gateway before the app runs.
    method: str  # a known method or _OTHER
    request_id: str
    correlation_id: str
    started_ns: int
    started: float
    ids: str = ""  # 32 hexadecimal digits of the trace ID and 16 of the span ID, or none
    active_key: str | None = None  # method and scheme under which it is counted as active
    is_sampled: bool = False
    span: Span | None = None
    is_span_ours: bool = False
    context: Context | None = None
    # Set by the adapter while the app runs.
    route: str | None = None
    status: int | None = None
    error: BaseException | None = None
    is_cancelled: bool = False
    is_client_gone: bool = False
    request_bytes: int = 0
    response_bytes: int = 0
    declared_bytes: int | None = None  # the response's Content-Length
    carrier: MutableMapping[str, Any] | None = (
        None  # the scope or environ that holds this exchange until its end
    )
    routed: Any = None  # what was routed inside, for the adapter that has begun the exchange
    time_to_first_byte: float | None = None
    fields: dict[str, Any] = {}
    details: Details | None = None  # which few have
    # Decided by finish().
    duration: float = 0.0
    outcome: Outcome | None = None
    error_type: str = ""
    _before: Any = None  # (token of CURRENT, token of the context, what was before that)

    def __repr__(self) -> str:
        return f"<Exchange {self.method} {self.path} {self.request_id}>"

    def __copy__(self) -> Exchange:
        return self

    def __deepcopy__(self, memo: object) -> Exchange:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        texts = self.method, self.path, self.info.scheme, self.request_id, self.correlation_id
        return inert, (*texts, self.ids, self.route)

    @property
    def path(self) -> str:
        """The request's path, without secrets."""
        return self._owner.redacted_path(self.info.path)

    def route_below(self, mount: str, route: str) -> str:
        """Return a route below a mount; without the mount where the path lacks it, as behind a proxy that strips it."""
        return f"{mount}{route}" if self.info.path.startswith(mount) else route

    @property
    def trace_id(self) -> str:
        """The trace ID, 32 hexadecimal digits; empty where there is none."""
        return self.ids[:32]

    @property
    def span_id(self) -> str:
        """The server span's ID, 16 hexadecimal digits; empty where there is none."""
        return self.ids[32:]

    @property
    def response_headers(self) -> tuple[tuple[str, str], ...]:
        """The request ID and the correlation ID, if it is sent, as (name, value)."""
        first, second = self._owner.response_header_names
        if not second:
            return ((first, self.request_id),)
        return (first, self.request_id), (second, self.correlation_id)

    @property
    def id_headers(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """The request ID and the correlation ID for calls made, as (name, value)."""
        first, second = self._owner.id_header_names
        return (first, self.request_id), (second, self.correlation_id)

    @fast("exchange.c: exchange_enter")
    def __enter__(self) -> Exchange:
        context = get_context() if self.context is None else self.context
        self._before = CURRENT.set(self), attach(context), self._before
        return self

    @fast("exchange.c: exchange_exit")
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        if self._on_finish:  # a body goes on where it was, inside a span of the app's own
            self.context = get_context()
        exchange, context, self._before = self._before
        try:
            CURRENT.reset(exchange)  # leaves less behind than `set` where nothing was before
            detach(context)
        except (ValueError, RuntimeError):  # a token is good in its own context alone, and once
            self._put_back(exchange, context)

    @fast("exchange.c: exchange_leave")
    def leave(self) -> bool:
        """Let what was before the exchange be current, until it is entered again; False where that is so already.

        What a server begins as the response ends, such as the timer of a connection, keeps the current context.
        With some dozens of exchanges in such contexts, the garbage collector runs with every wave of requests.
        """
        if self._before is None:
            return False
        self.__exit__()
        return True

    def _put_back(self, exchange: Token[Any], context: Token[Any]) -> None:
        """Put back by value what the tokens name."""
        CURRENT.set(_value(exchange))
        attach(_value(context) or Context())

    def first_byte(self) -> None:
        """Note that the response begins now."""
        if self.time_to_first_byte is None:
            self.time_to_first_byte = self._owner.perf_counter() - self.started

    def sent_unseen(self) -> None:
        """Note that the server sends the body by itself, as a file: its bytes are those declared."""
        self.first_byte()
        self.response_bytes = (self.declared_bytes or 0) if self.has_body else 0

    @fast("exchange.c: exchange_finish")
    def finish(self, *, is_complete: bool = True) -> None:
        """End the exchange once: decide its duration and outcome, end the span and queue the record.

        Args:
            is_complete: the last byte of the response was handed to the server.
        """
        try:
            on_finish = self._on_finish.pop()  # atomic, where a lock could meet itself in a finalizer
        except IndexError:
            return
        self.duration = self._owner.perf_counter() - self.started
        if is_complete and isinstance(self.status, int) and self.status < 500:
            self.outcome = Outcome.OK
        else:
            self.outcome = self._decide(is_complete)
            self.error_type = self._error_type()
        for component, take in on_finish:
            try:
                take(self)
            except Exception as error:
                self._owner.report(component, error)
        # No cycle is left behind: a traceback holds our own frames, what carries us holds this exchange.
        self.error = self.routed = None
        if self.carrier is not None:
            self.carrier.pop(CARRIER_KEY, None)
            self.carrier = None

    def _decide(self, is_complete: bool) -> Outcome:
        has_answer = is_complete and self.status is not None
        if self.is_client_gone and not has_answer:
            return Outcome.CLIENT_DISCONNECT
        if self.is_cancelled and not has_answer:
            return Outcome.CANCELLED
        if (isinstance(self.status, int) and self.status >= 500) or (
            self.error is not None and not has_answer
        ):
            return Outcome.ERROR
        return Outcome.OK if has_answer else Outcome.INCOMPLETE

    def _error_type(self) -> str:
        """https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (`error.type`)."""
        if self.outcome is Outcome.OK or self.outcome is None:
            return ""
        if self.outcome is not Outcome.ERROR:
            return str(self.outcome.value)
        if self.error is None:
            return str(self.status)
        return error_name(self.error)

    @fast("record.c: exchange_record")
    def record(self, *, is_logged: bool = False) -> RequestRecord:
        """Return what is left of it, once it is finished.

        Args:
            is_logged: its access line is written already, or none is wanted.
        """
        info = self.info
        return RequestRecord(
            self.active_key,
            self.method,
            info.path,
            self.route,
            self.status,
            "" if self.outcome is None else self.outcome._value_,  # `value` is a call or two
            self.error_type,
            self.duration,
            self.time_to_first_byte,
            self.request_bytes,
            self.response_bytes if self.has_body else 0,
            self.request_id,
            self.correlation_id,
            self.ids,
            self.is_sampled,
            info.peer[0] if info.peer else None,
            info.header("user-agent"),
            self.started_ns / 1e9 + self.duration,
            is_logged,
        )

    def capture_response_headers(self, fields: Iterable[tuple[str, str]]) -> None:
        """Write the headers of the response that are wanted to the span; where `Gateway.captures_response` says so."""
        self._owner.capture_response_headers(self, fields)

    def note_error(self, error: BaseException) -> None:
        """Keep the first exception seen, until the exchange is finished; a group of one is that one (task groups)."""
        if self.error is not None or self.is_finished:
            return
        self.error = _only_one(error)

    def note_raised(self, error: BaseException) -> None:
        """Note what the app has raised: a cancellation, or an error of whatever class."""
        if is_cancellation(error):
            self.is_cancelled = True
        else:
            self.note_error(error)

    def name_route(self, template: str | None, root: str = "") -> None:
        """Name the route from inside, where another adapter than the one that has begun the exchange has routed.

        Args:
            template: the route's template below `root`.
            root: the part of the path in front of it, as it came.
        """
        if template is not None and self.route is None and not self.is_finished:
            self.routed = root, template
            self.route = f"{root.rstrip('/')}{template}"

    def leave_out(self) -> None:
        """Leave the request out of metrics, traces and the access log, whatever becomes of it."""
        if self._on_finish:
            self._on_finish[0] = self._owner.left_out()

    def ask_for_details(self) -> Details:
        """Return the exchange's Details, from now on measured and logged; of one that has ended, some for nobody."""
        details = self.details
        if details is None:
            details = self.details = Details()
            if self._on_finish:
                self._on_finish[0] = self._owner.attend_to_details(self._on_finish[0])
        return details

    def add_labels(self, **labels: str) -> None:
        """Add labels to the request's metrics; each must have few values, because each is a series of its own."""
        own = self.ask_for_details().labels
        for name, value in labels.items():
            if may_be_added(name):
                own[name] = str(value)
            else:
                self.report("labels", ValueError(f"{name!r} is no name for a label of the app's"))

    def set_tenant(self, tenant: str | None) -> None:
        """Say whose request it is, for the tenant's label, the access line and the span."""
        self.ask_for_details().tenant = tenant

    def closed(self) -> None:
        """End the exchange because its response was closed; short of its end and with no error, the client has left."""
        if not self.is_finished:
            self.is_client_gone = self.error is None  # servers stop for nothing else
            self.finish(is_complete=self.has_all_bytes)

    def report(self, component: str, error: Exception) -> None:
        """Count a failure of our own."""
        self._owner.report(component, error)

    @property
    def is_finished(self) -> bool:
        """Tell whether the response has ended."""
        return not self._on_finish

    @property
    def has_body(self) -> bool:
        """Tell whether a body follows: not on a HEAD, a 204 and a 304 (RFC 9110, section 6.4.1)."""
        return self.info.method != "HEAD" and self.status not in _BODILESS

    @property
    def has_all_bytes(self) -> bool:
        """Tell whether all the bytes that the response declared were sent."""
        return not self.has_body or (
            self.declared_bytes is not None and self.response_bytes >= self.declared_bytes
        )

    def declare(self, length: object) -> None:
        """Note the response's Content-Length, if it is one; text, unless the app is at odds with its framework."""
        digits = length if isinstance(length, str) else str(length)
        self.declared_bytes = int(digits) if digits.isdecimal() and len(digits) < 20 else None

    def take_ids(self, request_id: str | None, correlation_id: str | None, other: str | None) -> None:
        """Take over the IDs that the app itself gives the client, so that they lead to the log lines.

        Args:
            request_id, correlation_id: the values of the response's `response_headers`.
            other: the value of OTHER_ID_HEADER.
        """
        accept = self._owner.accepted_id
        has_related = self.correlation_id != self.request_id  # the caller's
        self.request_id = accept(request_id) or self.request_id
        if not has_related:
            self.correlation_id = accept(other) or self.request_id
        self.correlation_id = accept(correlation_id) or self.correlation_id

    def take_other_id(self) -> None:
        """Take over the ID that another library has given the current request, where `OTHER_IDS` knows of one."""
        try:
            if not self.is_finished:
                self.take_ids(other_ids.current(self.info, self.started), None, None)
        except Exception as error:
            self.report("other_ids", error)

    def added_headers(self, present: Mapping[str, str]) -> list[tuple[str, str]]:
        """Take note of the response's headers, names in lower case, and return those of ours that it lacks."""
        self.declare(present.get("content-length"))
        if OTHER_IDS:
            self.take_other_id()
        names = (*self._owner.response_header_names, OTHER_ID_HEADER)
        self.take_ids(*(present.get(name.lower()) for name in names))
        return [field for field in self.response_headers if field[0].lower() not in present]


def _leave_to_parent() -> None:
    """Let the parent of a forked child end the request that both are in, because the client gets one response."""
    exchange = CURRENT.get()
    if exchange is not None and exchange._on_finish:
        exchange._on_finish[0] = (("fork", exchange._owner.forget),)


process.on_fork(in_child=_leave_to_parent)


class _Nobody:
    """The owner of an inert exchange."""

    response_header_names: tuple[str, str] = "X-Request-ID", "X-Correlation-ID"
    id_header_names: tuple[str, str] = "X-Request-ID", "X-Correlation-ID"
    perf_counter: Any = staticmethod(time.perf_counter)

    def accepted_id(self, value: str | None) -> str | None:
        return None

    def report(self, component: str, error: Exception) -> None:
        pass

    def attend_to_details(self, on_finish: OnFinish) -> OnFinish:
        return on_finish

    def left_out(self) -> OnFinish:
        return ()

    def redacted_path(self, path: str) -> str:
        return path

    def capture_response_headers(self, exchange: Exchange, fields: Iterable[tuple[str, str]]) -> None:
        pass

    def forget(self, exchange: Exchange) -> None:
        pass


def inert(
    method: str = "",
    path: str = "",
    scheme: str = "",
    own_id: str = "",
    related_id: str = "",
    ids: str = "",
    route: str | None = None,
) -> Exchange:
    """Return an exchange that is finished: whatever is noted on it changes nothing."""
    info = RequestInfo(method, path, "", scheme, _no_header, has_context_headers=False)
    return Exchange(info, [], _Nobody(), method, own_id, related_id, 0, 0.0, ids, route=route)


def _no_header(_: str) -> None:
    return None


def _value(token: Token[Any]) -> Any:
    """Return what a variable was before it was set."""
    return None if token.old_value is Token.MISSING else token.old_value


def _only_one(error: BaseException) -> BaseException:
    """Return the one exception of a group, which a task group makes of it; any other as it is."""
    while type(error).__name__ in ("BaseExceptionGroup", "ExceptionGroup"):
        inner = getattr(error, "exceptions", None)
        if not isinstance(inner, tuple) or len(inner) != 1:
            break
        error = inner[0]
    return error


def is_cancellation(error: BaseException) -> bool:
    """Tell whether an exception ends a request from outside: it is one of the few, or a group of nothing else."""
    inner = getattr(error, "exceptions", None)
    if isinstance(inner, tuple) and inner and type(error).__name__ == "BaseExceptionGroup":
        return all(map(is_cancellation, inner))
    return any(
        (kind.__module__.partition(".")[0], kind.__name__) in _CANCELLATIONS for kind in type(error).__mro__
    )


def error_name(error: BaseException) -> str:
    """Return the fully qualified name of an exception's class, without `builtins`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def current_exchange() -> Exchange | None:
    """Return the exchange that the calling code serves, or None outside a request.

    Seen in sync and async code, in the tasks it starts and in threads that run in a copied context.
    """
    exchange = CURRENT.get()
    if OTHER_IDS and exchange is not None and exchange.status is None:
        exchange.take_other_id()
    return exchange


def bind(**fields: Any) -> None:
    """Add fields to every further log line of the current request, its access line included; outside one do nothing."""
    exchange = CURRENT.get()
    if exchange is not None:
        exchange.fields.update(fields)
