"""What an adapter holds of an Observer: it starts exchanges, answers our paths, and is notified of start and stop.

gateway = Observer.given_or_new(observer, keywords).gateway
if path in gateway.paths:
    reply = gateway.reply(info, path)
exchange = gateway.start(info)
"""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from time import monotonic, perf_counter, time_ns
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from obs_middleware import _speedups, other_ids, process, request_id
from obs_middleware._speedups import fast, note, share_layout
from obs_middleware.around import INERT, exchange_around, goes_again, note_inside, part_of
from obs_middleware.callers import callers_of, cell_content, parts_of
from obs_middleware.deadline import STOP_SECONDS, deadline
from obs_middleware.details import Details
from obs_middleware.environ import (
    mount_of_route,
    named_request_info,
    path_text,
    request_info,
    takes_close,
    variables_of,
)
from obs_middleware.errors import own_status
from obs_middleware.exchange import (
    CARRIER_KEY,
    CURRENT,
    OTHER_ID_HEADER,
    Exchange,
    OnFinish,
    error_name,
    inert,
)
from obs_middleware.exclusion import ExcludedPaths
from obs_middleware.fork_lock import ForkLock
from obs_middleware.hand_over import HandOver
from obs_middleware.headers import header_values
from obs_middleware.health.cutting import cut_after
from obs_middleware.health.event_loops import run_in
from obs_middleware.health.ready_check import DATASTORE, ReadyCheck, graded
from obs_middleware.late_status import LateStatuses
from obs_middleware.ops.app_pages import is_caught_by_all
from obs_middleware.ops.endpoints import Endpoints, new_threads
from obs_middleware.other_ids import OTHER_IDS, headers_added_around, headers_added_to
from obs_middleware.queue import RecordQueue, flush
from obs_middleware.record import detailed
from obs_middleware.reply import TEXT_HEADERS, Reply, status_number
from obs_middleware.request import RequestInfo, with_client, with_header_names, with_path
from obs_middleware.scope import header_names as scope_header_names
from obs_middleware.scope import request_info as scope_request_info
from obs_middleware.settings import otel
from obs_middleware.settings.keywords import Keywords
from obs_middleware.statements import RepeatedStatements, operation_of

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from obs_middleware.errors import Failures
    from obs_middleware.export.exporters import Exporters
    from obs_middleware.health.answers import Probes
    from obs_middleware.health.registry import Health
    from obs_middleware.lifecycle import Lifecycle
    from obs_middleware.logs.access_log import AccessLog
    from obs_middleware.logs.setup import LogSetup
    from obs_middleware.metrics.adapter_metrics import AdapterMetrics
    from obs_middleware.metrics.http import HttpMetrics
    from obs_middleware.metrics.runtime import RuntimeMetrics
    from obs_middleware.metrics.websocket import OpenWebsocket
    from obs_middleware.ops.app_pages import AppPages, HasRoute
    from obs_middleware.ops.port import OpsPort
    from obs_middleware.proxies import Proxies
    from obs_middleware.record import RequestRecord
    from obs_middleware.redaction import Redactor
    from obs_middleware.settings import Settings
    from obs_middleware.tenancy import Tenancy
    from obs_middleware.tracing.server_span import ServerSpans

__all__ = [
    "CARRIER_KEY",
    "CURRENT",
    "DATASTORE",
    "INERT",
    "OTHER_IDS",
    "OTHER_ID_HEADER",
    "Gateway",
    "Keywords",
    "ReadyCheck",
    "add_health_arguments",
    "ask_health",
    "callers_of",
    "cell_content",
    "cut_after",
    "error_name",
    "exchange_around",
    "goes_again",
    "graded",
    "header_values",
    "headers_added_around",
    "headers_added_to",
    "is_caught_by_all",
    "mount_of_route",
    "named_request_info",
    "note",
    "note_inside",
    "operation_of",
    "own_status",
    "part_of",
    "parts_of",
    "path_text",
    "request_info",
    "scope_header_names",
    "scope_request_info",
    "status_number",
    "takes_close",
    "variables_of",
    "with_header_names",
    "with_path",
]

# https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (`http.request.method`).
_METHODS = "CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE QUERY"
_SIGNALS = 2  # that an exchange ends in: the span and the queue
_SLOW_SECONDS, _PAUSE_SECONDS = 1.0, 30.0
_logger = logging.getLogger("obs")


@share_layout
class Gateway:
    """What adapters call of one Observer.

    Attributes:
        adapter_metrics: declares metrics of what the framework does besides requests.
        paths: what is answered here and never reaches the app, beside what `has_page` tells.
        path_prefix: what a path begins with that `has_page` is to be asked for; None while there is no check.
        prefix_of_path: cuts such a prefix out of a path.
        response_header_names: the names of an exchange's `response_headers`, in their order; the second is empty where
            no correlation ID is sent.
        id_header_names: the same for calls made, with both names.
        context_headers: the headers by which a caller says what a request belongs to, in lower case.
        is_development: known once `set_up` was called.
        needs_header_names: whether an adapter is to hand over a RequestInfo `with_header_names`.
        error_response: whether an adapter may answer an exception that nobody else answers.
        late_statuses: takes an exchange that has failed, where a layer around the adapter decides its status.
        captures_response: whether an adapter is to call `Exchange.capture_response_headers` when a response begins.
    """

    # The C functions read an attribute at its place.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_accept",
        "_access_log",
        "_app_pages",
        "_callers_id",
        "_endpoints",
        "_environment",
        "_excluded_paths",
        "_exporters",
        "_failures",
        "_health",
        "_id_headers",
        "_ids",
        "_lifecycle",
        "_log_setup",
        "_methods",
        "_metrics",
        "_next_send",
        "_on_finish",
        "_on_finish_without_span",
        "_probes",
        "_provider",
        "_queue",
        "_redactor",
        "_repeated",
        "_runtime",
        "_settings",
        "_spans",
        "_starting",
        "_tenancy",
        "adapter_metrics",
        "context_headers",
        "id_header_names",
        "is_development",
        "path_prefix",
        "paths",
        "perf_counter",
        "prefix_of_path",
        "response_header_names",
        "time_ns",
    )

    def __init__(
        self,
        settings: Settings,
        *,
        failures: Failures,
        redactor: Redactor,
        metrics: HttpMetrics,
        spans: ServerSpans,
        log_setup: LogSetup,
        access_log: AccessLog | None,
        health: Health,
        probes: Probes,
        lifecycle: Lifecycle,
        exporters: Exporters,
        endpoints: Endpoints,
        app_pages: AppPages,
        tenancy: Tenancy,
        proxies: Proxies,
        adapter_metrics: AdapterMetrics,
        runtime: RuntimeMetrics,
    ) -> None:
        self.time_ns: Any = time_ns
        self.perf_counter: Any = perf_counter
        self._ids = request_id.source
        self._settings = settings
        self._failures = failures
        self._redactor = redactor
        self._metrics = metrics
        self._spans = spans
        self._log_setup = log_setup
        self._access_log = access_log
        self._health = health
        self._probes = probes
        self._watchdog = probes.watchdog
        if self._watchdog is not None:
            self._watchdog.progress = self._progress
        self._lifecycle = lifecycle
        self._exporters = exporters
        self._endpoints = endpoints
        self._app_pages = app_pages
        self.paths: frozenset[str] = frozenset()
        self.path_prefix: str | None = None
        self.prefix_of_path = slice(0)
        self._ops_port: OpsPort | None = None
        if settings.ops_port:
            from obs_middleware.ops.port import OpsPort  # http.server, which others do not need

            address = settings.ops_host, settings.ops_port
            self._ops_port = OpsPort(address, has_page=endpoints.has_page, answer=self.reply)
        else:
            self.paths = endpoints.paths
            health.on_added = self._look_below
        self._excluded_paths = ExcludedPaths(settings.exclude_paths)
        self._tenancy = tenancy
        self._proxies = proxies
        self.adapter_metrics = adapter_metrics
        self._runtime = runtime
        self._repeated = RepeatedStatements(settings.n_plus_one_queries, redactor)
        if settings.exclude_paths or tenancy.looks_at_requests or proxies:
            # On this object alone, so that others start as fast as they do.
            self.start = self._start_specially  # type: ignore[method-assign]
        sinks = [("metrics", metrics.record)]
        if access_log is not None:
            sinks.append(("access_log", access_log.write))
        self._queue = RecordQueue(sinks, metrics.discard, self.report)
        self._hand_over = HandOver(self._queue, metrics, spans, exporters, failures.guard)
        lifecycle.stop, lifecycle.flush_now = self.stopped, self._hand_over.soon
        lifecycle.flush_at_once, lifecycle.is_busy = self._hand_over.each, self._hand_over.has_requests
        self._on_finish: OnFinish = (("tracing", spans.end), ("queue", self._enqueue))
        self._on_finish_without_span: OnFinish = self._on_finish[1:]
        self._flush_where_needed()
        methods = os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "").replace(",", " ") or _METHODS
        self._methods = frozenset(methods.split())
        self.id_header_names = settings.request_id_header, settings.correlation_id_header
        sent = settings.correlation_id_header if settings.send_correlation_id else ""
        self.response_header_names = settings.request_id_header, sent
        self._id_headers = tuple(name.lower() for name in self.id_header_names)
        self._accept = request_id.acceptor(settings.request_id_characters, settings.request_id_max_length)
        is_trusting = settings.trust_request_ids
        self._callers_id = self.accepted_id if is_trusting else request_id.refuse
        taken = self._id_headers if is_trusting else ()
        sentry = ("sentry-trace",) if "sentry_sdk" in sys.modules else ()
        self.context_headers = frozenset((*taken, "traceparent", "baggage", *sentry))
        self.error_response = settings.error_response
        self.needs_header_names = spans.needs_header_names
        self.captures_response = spans.captured_headers is not None and spans.captured_headers.has_response
        self.late_statuses = LateStatuses(metrics.discard)
        self._provider: Any = None
        self._next_send = 0.0
        self._starting = ForkLock()
        self._environment: str | None = None  # known once set up
        self.is_development = False
        _all.add(self)

    def set_up(self, *, debug: bool = False) -> None:
        """Set logging and tracing up, once; in debug an unset environment is `development`, also at a later call."""
        other_ids.look_for()
        environment = self._settings.environment or ("development" if debug else "production")
        with self._starting:
            if environment == self._environment:
                return
            is_first, self._environment = self._environment is None, environment
            self._probes.are_details_open = self.is_development = environment == "development"
            guard = self._failures.guard
            guard("log_setup", self._log_setup.set_up, environment)
            if self.is_development:
                _logger.info("obs-middleware: %s", _speedups.summary())
            if is_first:
                self._provider = guard("trace_setup", self._spans.set_up, environment)
            otel.show_warnings()

    def starting(self) -> None:
        """Note that the app starts, or starts again after it has been stopped."""
        self._hand_over.together()
        self._lifecycle.starting()

    def started(self, *, loop: Any = None, is_serving: bool = True) -> None:
        """Note that the app has started and serves.

        Args:
            is_serving: False where the app is only made, perhaps by a command, or before workers are forked.
            loop: the event loop that serves it, if one does: asyncio's, or trio's token.
        """
        process.notice_fork()  # before what a forked child begins anew is started
        if loop is not None:
            self._health.surroundings.loop = loop
            self._health.surroundings.run_async = self._lifecycle.run_async = run_in(loop)
            if not self._lifecycle.is_draining:
                self._failures.guard("runtime_metrics", self._runtime.watch, loop)
        self._lifecycle.started(is_serving=is_serving)
        if self._watchdog is not None and is_serving and not self._lifecycle.is_draining:
            self._watchdog.watch(loop)
        if self._ops_port is not None:
            self._ops_port.start(is_serving=is_serving)
        if is_serving and not self._exporters.is_started and not self._lifecycle.is_draining:
            self._exporters.start()
        self._app_pages.warn(self._give_way)
        self._failures.guard("workers", self._metrics.look_for_workers)
        self._flush_where_needed()  # what runs the app may have been imported after it

    def _give_way(self, has_page: HasRoute) -> None:
        if self._ops_port is None:
            self._endpoints.yield_to(has_page)
            self.paths = self._endpoints.paths

    def _look_below(self) -> None:
        if self._endpoints.prefix is not None:
            self.path_prefix = f"{self._endpoints.prefix}/"
            self.prefix_of_path = slice(len(self.path_prefix))

    def has_page(self, path: str) -> bool:
        """Tell whether a path is answered here and never reaches the app.

        An adapter asks `paths` first, and this only where the path begins with `path_prefix`.
        """
        return path in self.paths or (
            self.path_prefix is not None
            and path[self.prefix_of_path] == self.path_prefix
            and self._endpoints.has_page(path)
        )

    def look_for_pages(self, has_route: HasRoute) -> None:
        """Let the next `started` warn of the app's own pages at paths of ours.

        Args:
            has_route: tells whether the app has a route for a path that is no route for every path.
        """
        self._app_pages.add(has_route)

    def surround_checks(self, around_run: Callable[[], object], at_thread_end: Callable[[], object]) -> None:
        """Look after what belongs to the thread of a check, such as the connections of a database.

        Args:
            around_run: is called in that thread, before each run and after it.
            at_thread_end: is called in that thread when it ends.
        """
        self._health.surroundings.around_run = around_run
        self._health.surroundings.at_thread_end = at_thread_end

    def stopping(self) -> None:
        """Note that the app is about to stop: readiness is 503 from now on."""
        self._lifecycle.drain()

    def stopped(self) -> None:
        """Hand over the lines, spans and metrics that still wait; it takes up to five seconds, whatever comes of it."""
        self._lifecycle.drain()
        self._health.stop()
        if self._watchdog is not None:
            self._watchdog.stop()
        if not deadline.within(STOP_SECONDS, partial(self._failures.guard, "stop", self._hand_over_all)):
            _logger.error(
                "after %g s there are still lines, spans or metrics that were not taken", STOP_SECONDS
            )
        self._lifecycle.stopped()

    def _progress(self) -> tuple[int, int]:
        """Return how many requests have begun and ended, and wait for nobody."""
        begun, ended = self._metrics.progress()
        return begun, ended + self._queue.waiting_count

    def _hand_over_all(self) -> None:
        self._runtime.stop()
        self.late_statuses.finish_all()
        self._hand_over.at_the_end()

    @property
    def environment(self) -> str | None:
        """Return the environment; None while it is neither set nor known."""
        return self._environment or self._settings.environment

    @property
    def has_own_provider(self) -> bool:
        """Tell whether spans go to a TracerProvider that we have set up, and not to one of the user's."""
        return self._provider is not None

    @property
    def global_provider(self) -> Any:
        """Return OpenTelemetry's global TracerProvider, None while nobody has set one."""
        return self._spans.global_provider

    @property
    def tracer_provider(self) -> Any:
        """Return the TracerProvider of the server spans: the Observer's own, else the global one; None without any."""
        return self._spans.provider

    @property
    def traces(self) -> bool:
        """Tell whether server spans are to be made here."""
        return self._settings.tracing_enabled

    def add_sink(self, take: Callable[[Iterator[RequestRecord]], None]) -> Callable[[], None]:
        """Have a function called with the records of each batch too; return what takes it away again."""
        sink = ("added", take)
        self._queue.add_sink(sink)
        return partial(self._queue.remove_sink, sink)

    def threads(self, path: str) -> Executor | None:
        """Return the threads to answer one of `paths` in under an event loop; None where the answer takes no time."""
        return self._endpoints.threads(path)

    def closing_thread(self) -> Executor:
        """Return a thread in which an event loop calls `stopped`."""
        return new_threads("obs-close", 1)

    def reply(self, info: RequestInfo, path: str) -> Reply:
        """Answer one of `paths`; under an event loop in its `threads`."""
        process.notice_fork()
        try:
            return self._endpoints.reply(info, path)
        except Exception as error:
            self.report("endpoints", error)
            return Reply(503, TEXT_HEADERS, b"Service Unavailable\n")

    @fast("gateway.c: gateway_start")
    def start(self, info: RequestInfo) -> Exchange | None:
        """Begin an exchange; None when we fail, and the app is to be run without us."""
        try:
            now, started = self.time_ns(), self.perf_counter()
            ids, own_id = self._ids.draw(now)
            correlation_id = None
            if info.has_context_headers:
                accepted, correlation_id = map(self._callers_id, map(info.header, self._id_headers))
                own_id = accepted or own_id
            method = info.method
            if method not in self._methods:
                method = "_OTHER"
            on_finish = [self._on_finish_without_span]
            exchange = Exchange(
                info, on_finish, self, method, own_id, correlation_id or own_id, now, started, ids
            )
            if self._spans.start(exchange):
                on_finish[0] = self._on_finish
            exchange.active_key = active_key = f"{method} {info.scheme}"
            self._metrics.begin(active_key)
        except Exception as error:
            self.report("start", error)
            return None
        return exchange

    def _start_specially(self, info: RequestInfo) -> Exchange | None:
        """Begin an exchange where paths are left out, tenants named or proxies trusted; in place of `start`."""
        if self._proxies:
            info = self._failures.guard("proxies", self._of_client, info) or info
        if info.path in self._excluded_paths:
            exchange: Exchange | None = self._failures.guard("start", self._left_out_exchange, info)
            return exchange
        exchange = Gateway.start(self, info)
        if exchange is not None and self._tenancy.looks_at_requests:
            self._failures.guard("tenancy", self._tenancy.note, exchange)
        return exchange

    def _of_client(self, info: RequestInfo) -> RequestInfo:
        client = self._proxies.client(info)
        return info if client is None or client == info.peer_address else with_client(info, client)

    def _left_out_exchange(self, info: RequestInfo) -> Exchange:
        now, started = self.time_ns(), self.perf_counter()
        ids, own_id = self._ids.draw(now)
        accepted, correlation_id = map(self._callers_id, map(info.header, self._id_headers))
        own_id = accepted or own_id
        method = info.method if info.method in self._methods else "_OTHER"
        exchange = Exchange(
            info, [self.left_out()], self, method, own_id, correlation_id or own_id, now, started, ids
        )
        self._spans.leave_out(exchange)
        return exchange

    def left_out(self) -> OnFinish:
        """Return what is called with an exchange that is left out."""
        return (("queue", self.forget),)

    def continued(self, headers: Mapping[str, str]) -> Exchange:
        """Return the exchange of a job: it goes on with what the headers name, and is no request.

        Args:
            headers: what `outgoing_headers()` has returned where the job was made.
        """
        exchange: Exchange | None = self._failures.guard("continue_trace", self._continued, headers)
        return inert() if exchange is None else exchange

    def _continued(self, headers: Mapping[str, str]) -> Exchange:
        pairs: Iterable[Any] = getattr(headers, "items", tuple)()  # what was kept with a job may be anything
        kept = {
            name.lower(): value for name, value in pairs if isinstance(name, str) and isinstance(value, str)
        }
        info = with_header_names(RequestInfo("", "", "", "", kept.get), kept.keys)
        now, started = self.time_ns(), self.perf_counter()
        accepted, correlation_id = map(self.accepted_id, map(kept.get, self._id_headers))
        own_id = accepted or self._ids.draw(now)[1]
        exchange = Exchange(info, [()], self, "", own_id, correlation_id or own_id, now, started)
        self._spans.continue_trace(exchange)
        return exchange

    def attend_to_details(self, on_finish: OnFinish) -> OnFinish:
        """Return what is called with an exchange that has Details, in place of what would be."""
        if on_finish not in (self._on_finish, self._on_finish_without_span):
            return on_finish  # it is left out
        first = ("tracing", self._spans.write_details)
        enqueue = ("queue", self._enqueue_in_python)
        return first, *(enqueue if one[0] == "queue" else one for one in on_finish)

    def accepted_id(self, value: str | None) -> str | None:
        """Return an ID of a caller or of the app if it is safe to repeat, and neither a secret nor a personal datum."""
        accepted = self._accept(value)
        if accepted is None or request_id.is_plain(accepted) or self._redactor.text(accepted) == accepted:
            return accepted
        return None

    @fast("gateway.c: gateway_enqueue")
    def _enqueue(self, exchange: Exchange) -> None:
        """Queue the exchange's record, and write its line at once where that can't wait."""
        access_log = self._access_log
        if access_log is None or (access_log.may_wait and not exchange.error_type and not exchange.fields):
            self._queue.add(exchange.record())
            return
        self._enqueue_in_python(exchange)

    def _enqueue_in_python(self, exchange: Exchange) -> None:
        """Do the same for any exchange, as for one that has Details or bound fields."""
        access_log = self._access_log
        if access_log is None or (access_log.may_wait and not exchange.error_type):
            self._queue.add(self._record_of(exchange))
            return
        flush(timeout_seconds=0)  # lines keep their order
        record = self._record_of(exchange, is_logged=True)
        is_logged = self._failures.guard("access_log", access_log.log, record, exchange)
        if is_logged is False:  # and not None, where it has failed: nobody is offered a line twice
            record = self._record_of(exchange)
        self._queue.add(record)

    def _record_of(self, exchange: Exchange, *, is_logged: bool = False) -> RequestRecord:
        """Return the record with all that is known; without bound fields where no line waits for them."""
        record, details, access_log = exchange.record(is_logged=is_logged), exchange.details, self._access_log
        bound = () if is_logged or access_log is None else access_log.bound(exchange.fields)
        if details is None and not bound:
            return record
        details = details or Details()
        labels = {**details.labels, **self._tenancy.labels(details.tenant)}
        return detailed(record, details, labels=tuple(sorted(labels.items())), bound=bound)

    def _flush_request(self, exchange: Exchange) -> None:
        """Write the line and send the span of a request while the process still runs."""
        flush()
        if exchange.is_sampled and monotonic() >= self._next_send:
            began = monotonic()
            deadline.within(STOP_SECONDS, partial(self._spans.flush, round(STOP_SECONDS * 1000)))
            if monotonic() - began > _SLOW_SECONDS:
                # A collector that does not answer costs few requests their time.
                self._next_send = monotonic() + _PAUSE_SECONDS

    def websocket_opened(self, exchange: Exchange, route: str | None) -> OpenWebsocket | None:
        """Count a websocket that was accepted; None where it is left out, nobody wants to know, or we fail.

        Args:
            route: as far as it is known now.
        """
        if exchange._on_finish == [self.left_out()]:
            return None
        opened: OpenWebsocket | None = self._failures.guard(
            "websocket", self._metrics.websocket_opened, route
        )
        return opened

    def note_query(self, statement: object, seconds: float) -> None:
        """Note a query of a database on the current exchange, and warn where it makes one again and again."""
        exchange = CURRENT.get()
        if exchange is None or exchange.is_finished:
            return
        text = statement if isinstance(statement, str) else str(statement)
        number = exchange.ask_for_details().add_query(text, seconds)
        self._repeated.note(text, number, exchange)

    def has_names_of(self, names: str) -> bool:
        """Tell whether the setting `metric_names` has a set of names."""
        return names in self._settings.metric_names

    def observes(self, what: str) -> bool:
        """Tell whether the setting `django_metrics` has a part."""
        return what in self._settings.django_metrics

    @property
    def health_databases(self) -> tuple[str, ...] | None:
        """The databases of Django that readiness asks; None: all."""
        return self._settings.django_health_databases

    def name_views(self, view_name: Callable[[str], str]) -> None:
        """Let metrics that have a view's name find it by the route; for the names of django-prometheus."""
        self._metrics.instruments.plan.view_name = view_name

    def has_begun(self, exchange: Exchange) -> bool:
        """Tell whether an exchange is one of this Gateway's."""
        return exchange._owner is self

    def _flush_where_needed(self) -> None:
        """Flush each request from now on where that is wanted, or no thread of ours runs between two."""
        flushes = self._settings.flush_each_request
        is_known = len(self._on_finish) > _SIGNALS
        if not is_known and (process.stands_still_between_requests() if flushes is None else flushes):
            self._on_finish += (("flush", self._flush_request),)
            self._on_finish_without_span = self._on_finish[1:]

    def capture_response_headers(self, exchange: Exchange, fields: Iterable[tuple[str, str]]) -> None:
        """Write the headers of the response that the user wants to the span."""
        self._failures.guard("tracing", self._spans.capture_response, exchange, fields)

    def forget(self, exchange: Exchange) -> None:
        """Take an exchange that ends in another process, or is left out, out of the active ones."""
        self._metrics.discard(exchange.record(is_logged=True))

    def redacted_path(self, path: str) -> str:
        """Return a path without secrets."""
        return self._redactor.path(path)

    def report(self, component: str, error: Exception) -> None:
        """Count a failure of our own, and log one at most in a minute."""
        self._failures.report(component, error)


def add_health_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command `health` to a framework's own command."""
    from obs_middleware.health.command import add_arguments

    add_arguments(parser)


def ask_health(target: Any, **options: Any) -> tuple[bool, list[str]]:
    """Ask a server or the checks of a Health, as the command does; return whether all is well, and lines that tell."""
    from obs_middleware.health.command import ask

    return ask(target, **options)


def _flush_all_spans() -> None:
    """Send the spans that wait, of a process in which the SDK's own exit handler does not run."""
    for gateway in list(_all):
        deadline.within(STOP_SECONDS, partial(gateway._spans.flush, round(STOP_SECONDS * 1000)))


_all: WeakSet[Gateway] = WeakSet()
process.on_child_end(_flush_all_spans)
