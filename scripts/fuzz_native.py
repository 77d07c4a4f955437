"""Ask the C code and the Python code the same hostile things, and report crashes and different answers.

    python scripts/fuzz_native.py SECONDS [SEED]      exit 1 where something was found
    python scripts/fuzz_native.py --case SEED NUMBER  what one case says, in this process

Cases run in blocks, each block in two processes: one of them with OBS_PURE_PYTHON=1. A case is made of its seed and its
number alone. A case whose kind begins with `wild` has objects that change what is being read. How often
these are asked depends on the way. Such a case must not crash, and its answers are not compared.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import logging
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BLOCK = 400
_TIMEOUT_SECONDS = 300

# ------------------------------------------------------------------ the parent


def main(seconds: float, seed: str) -> int:
    """Run blocks of cases until the time is over, and return how many have crashed or differ."""
    end, first, found, cases = time.monotonic() + seconds, 0, 0, 0
    counts: Counter[str] = Counter()
    while time.monotonic() < end:
        workers = [_begin(way, seed, first) for way in ("0", "1")]
        (compiled, trouble), (python, other_trouble) = map(_finish, workers)
        for way, errors, answers in (("C", trouble, compiled), ("Python", other_trouble, python)):
            if errors:
                found += 1
                print(f"CRASH of the {way} code: --case {seed} {first + len(answers)}\n{errors}", flush=True)
        for number, (one, two) in enumerate(zip(compiled, python, strict=False), first):
            counts[one["kind"]] += 1
            if one["answer"] != two["answer"] and not one["kind"].startswith("wild"):
                found += 1
                print(f"DIFFERENCE in {one['kind']}: --case {seed} {number}", flush=True)
                print(f"  C      {_around(one['answer'], two['answer'])}", flush=True)
                print(f"  Python {_around(two['answer'], one['answer'])}", flush=True)
        cases += len(compiled)
        first += BLOCK
    print(f"seed {seed}: {cases} cases, {found} crashes and differences {dict(sorted(counts.items()))}")
    return found


def _begin(pure: str, seed: str, first: int) -> subprocess.Popen[str]:
    env = {**os.environ, "OBS_PURE_PYTHON": pure, "PYTHONFAULTHANDLER": "1", "PYTHONHASHSEED": "0"}
    env.setdefault("PYTHONMALLOC", "debug")
    command = [sys.executable, __file__, "--block", seed, str(first)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True)


def _finish(worker: subprocess.Popen[str]) -> tuple[list[dict[str, Any]], str]:
    """Return the answers, and what has gone wrong, if anything has."""
    try:
        out, errors = worker.communicate(timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        out, errors = worker.communicate()
        errors += "\nit hangs"
    answers = [json.loads(line) for line in out.splitlines() if line.startswith("{") and line.endswith("}")]
    is_whole = worker.returncode == 0 and len(answers) == BLOCK
    return answers, "" if is_whole else f"exit code {worker.returncode}: {errors[-3000:]}"


def _around(text: str, other: str) -> str:
    same = next((at for at, (one, two) in enumerate(zip(text, other, strict=False)) if one != two), 0)
    return f"…{text[max(0, same - 60) : same + 300]}"


# ------------------------------------------------------------------ what is asked


class Loud(Exception):
    """What hostile objects raise."""


class Text(str):
    """A str that is not exactly one."""


class Number(int):
    """An int that is not exactly one."""


class Key(str):
    """A key that does something when it is compared."""

    act: Callable[[], object] = int

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        self.act()
        return str.__eq__(self, str(other))


class Raises:
    """What raises whatever it is asked."""

    __hash__ = None  # type: ignore[assignment]

    def _loud(self, *_: object) -> Any:
        raise Loud("asked")

    __eq__ = __bool__ = __len__ = __iter__ = __float__ = __index__ = __lt__ = __str__ = __call__ = _loud


class Wild:
    """What runs a function whatever it is asked."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def _wild(self, *_: object) -> Any:
        self.act()
        return 0

    __hash__ = __bool__ = __len__ = __float__ = __index__ = __lt__ = __eq__ = __sub__ = __rsub__ = (
        __call__
    ) = _wild


_TEXTS = (
    "",
    "GET",
    "get",
    "/a/b",
    "/é",
    "€",
    "\ud800",
    "\0",
    "a\nb",
    'q"\\',
    *("x" * 300, "x" * 5000, "http", "ws", "٣", "50"),
)
_NUMBERS = (
    0,
    1,
    -1,
    99,
    101,
    200,
    204,
    404,
    500,
    2**31,
    2**53 + 1,
    2**63,
    -(2**63),
    2**64,
    *(10**400, True, 1.5, float("nan"), float("inf"), -0.0),
)
_THINGS: tuple[Any, ...] = (
    None,
    b"",
    b"x",
    [],
    (),
    {},
    [1],
    (1, 2),
    {"a": 1},
    frozenset(),
    range(3),
    object,
    int,
)


def anything(rng: random.Random) -> Any:
    """Return a value of any type."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(_TEXTS)
    if kind == 1:
        return rng.choice(_NUMBERS)
    if kind == 2:
        return rng.choice([Text("GET"), Text(""), Number(200), Raises(), Key("a")])
    return rng.choice(_THINGS)


def mostly(rng: random.Random, common: Any) -> Any:
    """Return a common value, sometimes any other."""
    return anything(rng) if rng.random() < 0.12 else common


_CHANGING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}|[0-9a-f]{48}|[0-9a-f]{32}|(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])"
    r'|"stack":"(?:[^"\\]|\\.)*"'  # C functions are not in it
    r"|0x[0-9a-f]+|\d+-\d\d-\d\dT[0-9:.]+Z|line \d+|[/\w.-]+\.py"
)


def described(value: Any) -> str:
    """Return what can be said of a value, without what is new each time."""
    try:
        text = value if type(value) is str else repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}: {type(error).__name__}>"
    return _CHANGING.sub("~", text.encode("ascii", "backslashreplace").decode())


def result_of(call: Callable[..., Any], *args: Any, **named: Any) -> str:
    """Return what a call returns or raises."""
    try:
        return described(call(*args, **named))
    except Exception as error:
        text = "" if isinstance(error, TypeError) else str(error)[:80]  # which C words in its own way
        return described(f"{type(error).__name__} {text}")


_FAILURE_IDS = re.compile(r'"(request|correlation|trace|span)_id":(null|"[^"]*"),')


class Bench:
    """What the cases of a block share, and what they find in it."""

    def __init__(self) -> None:
        from obs_middleware import queue
        from obs_middleware.logs import JsonFormatter
        from obs_middleware.logs.outputs import LineHandler
        from obs_middleware.settings import Settings

        queue._DELAY_SECONDS = 3600  # no thread comes in between, whose moment is another each time
        self._output = io.BytesIO()
        handler = LineHandler(io.TextIOWrapper(self._output, encoding="utf-8", write_through=True))
        handler.setFormatter(JsonFormatter(settings=Settings(service_name="fuzz")))
        logging.root.handlers[:] = [handler]
        logging.root.setLevel(logging.INFO)
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)

    def observer(self, rng: random.Random) -> Any:
        """Return an Observer with a clock that stands still."""
        from prometheus_client import CollectorRegistry

        import obs_asgi.response
        from obs_middleware import Observer
        from obs_middleware.settings import Settings

        settings = Settings.load(
            env={},
            log_setup=False,
            environment="production",
            access_log=rng.random() < 0.9,
            tracing_enabled=rng.random() < 0.5,
            metrics_max_series=rng.choice([10, 1000]),
        )
        own = Observer(settings, registry=CollectorRegistry())
        moment = rng.choice([0.0, 1.0, 12.3456789])
        own.gateway.perf_counter, own.gateway.time_ns = lambda: moment, lambda: 1_700_000_000_123_456_789
        obs_asgi.response.perf_counter = own.gateway.perf_counter  # type: ignore[attr-defined]
        return own

    def written(self) -> bytes:
        """Return what was logged since the last call."""
        from obs_middleware.queue import flush

        flush()
        written = self._output.getvalue()
        self._output.seek(0)
        self._output.truncate()
        return written

    def left(self, own: Any) -> list[str]:
        """Return the lines that were written, and the numbers that were counted."""
        instruments = own.gateway._metrics.instruments
        table = instruments.table
        lines = self.written().decode("utf-8", "replace").splitlines()
        errors = {
            tuple(sample.labels.values()): sample.value
            for family in instruments.internal_errors.collect()
            for sample in family.samples
            if "created" not in sample.name
        }
        counts = result_of(list, table.counts), result_of(list, table.sums)
        # The IDs of a failure come from the frames of its traceback, where no exchange is current: C has no frames.
        lines = [_FAILURE_IDS.sub("", line) if '"logger":"obs",' in line else line for line in lines]
        return [*map(described, lines), *counts, *map(described, (instruments.active, table.row_of, errors))]


_ENDED = ("outcome", "error_type", "error", "carrier", "active_key", "is_span_ours")


def _exchange_case(rng: random.Random, bench: Bench, *, is_wild: bool = False) -> list[str]:
    """Begin an exchange, do anything to it, and end it, maybe more than once."""
    from obs_middleware import RequestInfo
    from obs_middleware.exchange import Exchange

    own = bench.observer(rng)
    gateway, names = own.gateway, Exchange.__struct_fields__
    headers: dict[str, Any] = rng.choice([{}, {"user-agent": "curl"}, {"user-agent": "é"}, {"user-agent": 5}])
    seen: list[str] = []
    exchange: Any = None

    def act() -> None:
        what = rng.randrange(4)
        name = rng.choice(names)
        if exchange is None or what == 0:
            headers.clear()
        elif what == 1:
            setattr(exchange, name, anything(rng))
        elif what == 2 and hasattr(exchange, name):
            delattr(exchange, name)
        else:
            exchange.finish()

    for _ in range(rng.randrange(1, 4)):
        info = RequestInfo(
            mostly(rng, rng.choice(["GET", "POST", "BREW"])),
            mostly(rng, rng.choice(_TEXTS)),
            mostly(rng, ""),
            mostly(rng, rng.choice(["http", "https", "gopher"])),
            mostly(rng, headers.get),
            mostly(rng, rng.choice([None, ("10.0.0.1", 5), ("é", None), ()])),
            mostly(rng, "1.1"),
            mostly(rng, rng.random() < 0.2),
        )
        seen.append(result_of(lambda info=info: type(gateway.start(info)).__name__))
        exchange = gateway.start(info)
        if exchange is None:
            continue
        for _ in range(rng.randrange(3, 14)):
            step = rng.randrange(12)
            if step == 0:
                setattr(exchange, rng.choice(names), Wild(act) if is_wild else anything(rng))
            elif step == 1:
                name = rng.choice(names)
                seen.append(result_of(delattr, exchange, name))
            elif step == 2:
                seen.append(result_of(exchange.__enter__))
            elif step == 3:
                seen.append(result_of(exchange.__exit__, None, None, None))
            elif step == 4:
                seen.append(result_of(exchange.leave))
            elif step == 5:
                seen.append(contextvars.copy_context().run(result_of, exchange.leave))
            elif step == 6:
                named: dict[str, Any] = rng.choice([{}, {"is_complete": rng.choice([True, False, 1])}])
                seen.append(result_of(exchange.finish, **named))
            elif step == 7:
                named = rng.choice([{}, {"is_logged": rng.choice([True, []])}])
                seen.append(result_of(exchange.record, **named))
            elif step == 8:
                seen.append(result_of(gateway._enqueue, exchange))
            elif step == 9:
                exchange.status, exchange.route = (
                    rng.choice([200, 404, 500, None]),
                    rng.choice(["/a", None, "/é"]),
                )
            elif step == 10 and is_wild:
                gateway.perf_counter = Wild(act)
            elif step == 11:
                on_finish = rng.choice([act, Raises(), lambda _: 1 / 0, lambda one: one.leave()])
                pairs = ("odd", on_finish), ("queue", gateway._enqueue)
                result_of(list.append, getattr(exchange, "_on_finish", None), pairs)
        seen.append(result_of(exchange.finish))
        seen += [result_of(getattr, exchange, name) for name in _ENDED]
    return [*seen, *bench.left(own)]


def _record_case(rng: random.Random, bench: Bench) -> list[str]:
    """Hand records with any values to the sinks."""
    from obs_middleware import RequestRecord
    from obs_middleware.logs.access_line import AccessLine
    from obs_middleware.redaction import Redactor

    own, formatter = bench.observer(rng), logging.root.handlers[0].formatter
    common: dict[str, Any] = {
        "active_key": rng.choice(["GET http", "GET gopher", None]),
        "method": "GET",
        "path": rng.choice(["/", "/é", "/a?token=hunter22"]),
        "route": rng.choice([None, "/a", "/é"]),
        "status": rng.choice([None, 101, 200, 404]),
        "outcome": "ok",
        "error_type": rng.choice(["", "KeyError"]),
        "duration": rng.choice([0.0, 0.0005, 0.1, rng.random() * 10 ** rng.randrange(-6, 7)]),
        "time_to_first_byte": rng.choice([None, 0.05, rng.random()]),
        "request_bytes": rng.choice([0, 5, 2**53]),
        "response_bytes": rng.choice([0, 10**6]),
        "request_id": "r",
        "correlation_id": "c",
        "ids": rng.choice(["", "ab" * 24]),
        "is_sampled": rng.random() < 0.3,
        "client": rng.choice([None, "10.0.0.1"]),
        "user_agent": rng.choice([None, "curl", "é" * 300]),
        "ended": rng.choice([0.0, 1.7e9, rng.random() * 1e10]),
        "is_logged": False,
    }
    records = [
        RequestRecord(**{name: mostly(rng, value) for name, value in common.items()})
        for _ in range(rng.randrange(1, 5))
    ]
    line = AccessLine(formatter, Redactor(), "INFO")  # type: ignore[arg-type]
    seen = [result_of(line.line, record) for record in records]
    table = own.gateway._metrics.instruments.table
    if rng.random() < 0.2:
        result_of(own.gateway._metrics.record, iter(records))
        name = rng.choice(["firsts", "cells", "counts", "sums", "row_of"])
        row_of = {("GET", 200, ""): {"/a": rng.choice([-1, 9, "x"])}}
        value = rng.choice([anything(rng), (0, -5, 20, 30), (0, 10**6, 5, 5), bytearray(8), 2**62, row_of])
        setattr(table, name, value)
        result_of(own.gateway._metrics.record, iter(records))
        return seen  # what is done in a table that is wrong is not compared
    for record in records * 2:
        seen.append(result_of(own.gateway._metrics.record, iter([record])))
        result_of(own.gateway._queue.add, record)
    return [*seen, *bench.left(own)]


def _environ(rng: random.Random) -> dict[Any, Any]:
    environ: dict[Any, Any] = {
        "REQUEST_METHOD": mostly(rng, rng.choice(["GET", "POST", "HEAD"])),
        "SCRIPT_NAME": mostly(rng, rng.choice(["", "/app"])),
        "PATH_INFO": mostly(rng, rng.choice(["/", "/a", "/Ã©"])),
        "QUERY_STRING": mostly(rng, ""),
        "REMOTE_ADDR": mostly(rng, "10.0.0.1"),
        "REMOTE_PORT": mostly(rng, rng.choice(["5000", 5000, "", "x"])),
        "SERVER_PROTOCOL": mostly(rng, "HTTP/1.1"),
        "wsgi.url_scheme": mostly(rng, "http"),
        "wsgi.input": io.BytesIO(b"body"),
        "HTTP_USER_AGENT": mostly(rng, "curl"),
    }
    if rng.random() < 0.2:
        environ[rng.choice(["HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT", "HTTP_BAGGAGE", "CONTENT_LENGTH"])] = (
            anything(rng)
        )
    for name in rng.sample([*environ], rng.randrange(3)):
        del environ[name]
    return environ


def _environ_case(rng: random.Random, bench: Bench, *, is_wild: bool = False) -> list[str]:
    """Ask what variables say, some of them under keys that do something when they are compared."""
    from obs_middleware import RequestInfo
    from obs_middleware.environ import request_info, variables_of

    environ = _environ(rng)
    if is_wild:
        for name in rng.sample([*environ], min(len(environ), 2)):
            key = Key(name)
            value = environ.pop(name)
            environ[key] = value
            key.act = lambda: environ.update(
                {other: str(rng.random()) for other in [*environ] if type(other) is str}
            )
    better = [mostly(rng, rng.choice([None, "GET", "/a"])) for _ in range(rng.randrange(5))]
    context_headers = rng.choice([variables_of(["x-request-id", "traceparent"]), (), mostly(rng, ())])

    def info() -> list[str]:
        made = request_info(environ, context_headers, *better)
        fields = [getattr(made, name) for name in RequestInfo.__struct_fields__ if name != "header"]
        return [
            described(fields),
            result_of(made.header, "user-agent"),
            result_of(made.header, "content-length"),
        ]

    return [result_of(info)]


def _wsgi_case(rng: random.Random, bench: Bench) -> list[str]:
    """Serve a raw WSGI app."""
    from obs_wsgi import ObservabilityMiddleware

    own, sent = bench.observer(rng), []
    status = mostly(rng, rng.choice(["200 OK", "404 Not Found", "500 Oops", "204 No Content"]))
    headers = mostly(
        rng, rng.choice([[], [("Content-Length", "2")], [("X-Request-ID", "own")], [("é", "é")]])
    )
    body = mostly(rng, rng.choice([[b"ok"], (b"a", b"b"), [], iter([b"x"])]))

    def app(environ: Any, start_response: Any) -> Any:
        if fails == 0:
            raise Loud("app")
        start_response(status, headers)
        return body

    def start_response(status: Any, headers: Any, exc_info: Any = None) -> Any:
        sent.append((status, headers))
        return sent.append

    def serve() -> list[Any]:
        answer = observed({**_environ(rng), "PATH_INFO": "/a"}, start_response)
        try:
            return [piece for piece in answer]  # noqa: C416
        finally:
            if hasattr(answer, "close"):
                answer.close()

    fails = rng.randrange(12)
    observed = ObservabilityMiddleware(app, own)
    seen = [result_of(serve) for _ in range(rng.randrange(1, 4))]
    return [*seen, described(sent), *bench.left(own)]


def _asgi_case(rng: random.Random, bench: Bench) -> list[str]:
    """Serve a raw ASGI app."""
    from obs_asgi import ObservabilityMiddleware

    own = bench.observer(rng)
    sent: list[Any] = []
    status, headers = mostly(rng, rng.choice([200, 404, 500])), mostly(rng, [(b"a", b"b")])
    start = {"type": "http.response.start", "status": status, "headers": headers}
    bodies = [
        {"type": "http.response.body", "body": mostly(rng, b"ok"), "more_body": mostly(rng, more)}
        for more in (True, False)
    ]
    sent_with = [(b"user-agent", b"curl"), (b"host", b"x"), *[(b"x-request-id", b"y")] * (rng.random() < 0.2)]
    scope = {
        "type": rng.choice(["http", "http", "http", "websocket"]),
        "method": mostly(rng, "GET"),
        "path": mostly(rng, "/a"),
        "query_string": mostly(rng, b""),
        "headers": mostly(rng, sent_with),
        "client": mostly(rng, ("10.0.0.1", 5000)),
        "http_version": mostly(rng, "1.1"),
        "scheme": mostly(rng, "http"),
        "root_path": "",
    }
    chosen, fails = rng.choice([[start, *bodies], [start, bodies[1]], [start], [], bodies]), rng.randrange(12)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if fails == 0:
            raise Loud("app")
        for message in chosen:
            await send(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if fails == 1:
            raise OSError("gone")
        sent.append(message)

    observed = ObservabilityMiddleware(app, own)
    run, count = bench.loop.run_until_complete, rng.randrange(1, 4)
    seen = [result_of(run, observed(dict(scope), receive, send)) for _ in range(count)]
    return [*seen, described(sent), *bench.left(own)]


def _headers_case(rng: random.Random, bench: Bench) -> list[str]:
    """Look headers up, of any names and values."""
    from obs_middleware.headers import header_values

    del bench
    known: list[Any] = ["X-Id", "x-id", b"X-Id", b"x-id", bytearray(b"x-id")]
    pairs = [mostly(rng, (mostly(rng, rng.choice(known)), anything(rng))) for _ in range(rng.randrange(5))]
    names = mostly(rng, rng.choice([("x-id", "y"), (b"x-id", b"y"), (b"y",) * 5]))
    return [result_of(header_values, mostly(rng, pairs), names)]


def _wild_exchange_case(rng: random.Random, bench: Bench) -> list[str]:
    return _exchange_case(rng, bench, is_wild=True)


def _wild_environ_case(rng: random.Random, bench: Bench) -> list[str]:
    return _environ_case(rng, bench, is_wild=True)


_CASES = (
    _exchange_case,
    _record_case,
    _environ_case,
    _wsgi_case,
    _asgi_case,
    _headers_case,
    _wild_exchange_case,
    _wild_environ_case,
)


def answer_of(seed: str, number: int, bench: Bench) -> dict[str, str]:
    """Return what one case says."""
    case = _CASES[number % len(_CASES)]
    bench.written()  # a wild object may have ended an exchange while the case before was described
    kind = case.__name__.strip("_").removesuffix("_case")
    answer = contextvars.Context().run(case, random.Random(f"{seed}:{number}"), bench)
    return {"kind": kind, "answer": "\n".join(answer)}


def _run_block(seed: str, first: int) -> None:
    sys.path[:0] = [str(ROOT), str(ROOT / "adapters")]
    bench = Bench()
    for number in range(first, first + BLOCK):
        print(json.dumps(answer_of(seed, number, bench)), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--block":
        _run_block(sys.argv[2], int(sys.argv[3]))
        sys.stdout.flush()
        os._exit(0)  # what waits in a queue whose parts are odd is nobody's
    elif sys.argv[1] == "--case":
        sys.path[:0] = [str(ROOT), str(ROOT / "adapters")]
        print(answer_of(sys.argv[2], int(sys.argv[3]), Bench())["answer"])
        sys.stdout.flush()
        os._exit(0)
    else:
        sys.exit(main(float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else str(time.time_ns())) > 0)
