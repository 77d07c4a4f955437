"""Trace context of level 2, table by table (https://www.w3.org/TR/trace-context-2/), and what calls made carry on."""

from __future__ import annotations

import string
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceState

from obs_middleware import Observer, bind, current_exchange, outgoing_headers
from obs_middleware.tracing.propagation import parse_tracestate
from tests.core.support import observer, python, request, started

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"

hex_ids = st.text("0123456789abcdef", min_size=1)
KEY_FIRST = string.ascii_lowercase + string.digits
KEY_REST = KEY_FIRST + "_-*/@"
VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")


@cache
def own() -> Observer:
    """Make spans of no SDK, so that what comes in is what goes out."""
    return observer(access_log=False, tracing_enabled=False)


def sent_on(traceparent: str | None, tracestate: str | None = None, **headers: str) -> dict[str, str]:
    """Return the headers of a call made in a request that came with these."""
    given = {"traceparent": traceparent, "tracestate": tracestate, **headers}
    with started(own(), request(headers={name: value for name, value in given.items() if value is not None})):
        return outgoing_headers()


def continued(traceparent: str | None) -> tuple[str, str] | None:
    """Return the trace ID and the flags that are sent on, or None when a new trace began."""
    version, trace_id, span_id, flags = sent_on(traceparent, "a=1")["traceparent"].split("-")
    assert version == "00"
    assert span_id not in (PARENT, "0" * 16)
    assert trace_id != "0" * 32
    return (trace_id, flags) if traceparent and trace_id in traceparent else None


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (GOOD, "01"),
        (f"00-{TRACE}-{PARENT}-00", "00"),
        (f" \t{GOOD}\t ", "01"),
        # Flags are bits: sampled and random go on, the others do not.
        (f"00-{TRACE}-{PARENT}-02", "02"),
        (f"00-{TRACE}-{PARENT}-03", "03"),
        (f"00-{TRACE}-{PARENT}-ff", "03"),
        (f"00-{TRACE}-{PARENT}-fc", "00"),
        # A version to come: the first four fields are read, the rest is not.
        (f"01-{TRACE}-{PARENT}-01", "01"),
        (f"cc-{TRACE}-{PARENT}-01", "01"),
        (f"fe-{TRACE}-{PARENT}-01", "01"),
        (f"01-{TRACE}-{PARENT}-01-", "01"),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", "01"),
        (f"cc-{TRACE}-{PARENT}-ff-x", "03"),
    ],
)
def test_valid_traceparent_is_continued(traceparent: str, flags: str) -> None:
    assert continued(traceparent) == (TRACE, flags)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        " ",
        "garbage",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-extra",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-01.",
        f"cc-{TRACE}-{PARENT}-01.what",
        f"cc-{TRACE}-{PARENT}-011",
        f"cc-{TRACE}-{PARENT}-0",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT.upper()}-01",
        f"00-{TRACE}-{PARENT}-0A",
        f"0A-{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}0-{PARENT}-01",
        f"00-{TRACE}-{PARENT[:-1]}-01",
        f"00-{TRACE}-{PARENT}0-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"00-{TRACE[:-1]}٣-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        f"00 -{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"\x0b{GOOD}",
        f"\u00a0{GOOD}",
        # More than one header: the trace begins anew.
        f"{GOOD},{GOOD}",
        f"{GOOD}, {GOOD}",
        f"{GOOD},",
        f"cc-{TRACE}-{PARENT}-01,cc-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-x,cc-{TRACE}-{PARENT}-01-y",
        f"{GOOD}-" + "x" * 1_000_000,
    ],
)
def test_invalid_or_repeated_traceparent_begins_a_new_trace_without_tracestate(
    traceparent: str | None,
) -> None:
    assert continued(traceparent) is None
    assert "tracestate" not in sent_on(traceparent, "a=1")


def test_new_trace_says_that_its_id_is_random() -> None:
    assert sent_on(None)["traceparent"].endswith("-02")


def members(count: int, *, size: int = 0) -> str:
    return ",".join(f"k{number}={'v' * (size - 3 - len(str(number))) or 'v'}" for number in range(count))


@pytest.mark.parametrize(
    ("tracestate", "expected"),
    [
        ("a=1", "a=1"),
        ("a=1,b=2", "a=1,b=2"),
        (" a=1 ,\tb=2\t", "a=1,b=2"),
        # Empty members are allowed.
        ("a=1,,b=2", "a=1,b=2"),
        (",a=1, ,\t,", "a=1"),
        ("", None),
        (" ", None),
        (",", None),
        # At most 32 members, the repeated ones among them.
        (members(32), members(32)),
        (members(33), None),
        (members(32) + ",", members(32)),
        ("a=1," * 32 + "b=2", None),
        # Keys.
        ("a=1,b=2,a=3", "a=1,b=2"),
        ("0a=1", "0a=1"),
        ("9=1", "9=1"),
        ("1@a-*/_z=1", "1@a-*/_z=1"),
        ("a@b@c=1", "a@b@c=1"),
        ("a@=1", "a@=1"),
        (f"{'a' * 256}=1", f"{'a' * 256}=1"),
        (f"{'t' * 242}@{'v' * 13}=1", f"{'t' * 242}@{'v' * 13}=1"),
        (f"{'a' * 257}=1", None),
        ("A=1", None),
        ("aB=1", None),
        ("@a=1", None),
        ("_a=1", None),
        ("-a=1", None),
        ("a.b=1", None),
        ("a b=1", None),
        ("é=1", None),
        ("=1", None),
        ("a", None),
        ("a =1", None),
        # Values.
        (f"a={'v' * 256}", f"a={'v' * 256}"),
        (f"a={'v' * 257}", None),
        ("a= b", "a= b"),
        ("a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~", "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"),
        ("a=b ", "a=b"),
        ("a=", None),
        ("a==b", None),
        ("a=b=c", None),
        ("a=\x7f", None),
        ("a=\x1f", None),
        ("a=1\n", None),
        ("a=é", None),
        # One that is not valid discards the others.
        ("a=1,B=2,c=3", None),
        ("a=1,b", None),
        # At least 512 characters go on: whole members, those over 128 characters first, then from the end.
        (members(8, size=63), members(8, size=63)),
        (members(8, size=63) + ",a", None),
        (f"{members(8, size=63)},z={'v' * 126}", members(8, size=63)),
        (f"long={'v' * 124},{members(8, size=63)}", members(8, size=63)),
        (f"z={'v' * 126},{members(8, size=63)}", f"z={'v' * 126}," + members(6, size=63)),
        (f"a={'v' * 255},b={'w' * 254}", f"a={'v' * 255}"),
        (f"a={'v' * 253},b={'w' * 254}", f"a={'v' * 253},b={'w' * 254}"),
        (f"a={'v' * 256},b={'w' * 256},c=1", f"a={'v' * 256},c=1"),
    ],
)
def test_tracestate_goes_on_as_its_rules_say_and_never_spoils_the_traceparent(
    tracestate: str, expected: str | None
) -> None:
    headers = sent_on(GOOD, tracestate)
    assert headers["traceparent"].startswith(f"00-{TRACE}-")
    assert headers.get("tracestate") == expected


@given(st.one_of(st.text(), st.from_regex(r"(ff|00|cc)-[0-9a-fA-F]{32}-[0-9a-f]{15,17}-0[0-9a-f](-.*)?")))
def test_any_traceparent_gives_a_request_that_is_served(value: str) -> None:
    trace_id = sent_on(value, value)["traceparent"].split("-")[1]
    assert len(trace_id) == 32


@given(st.one_of(st.text(), st.text(KEY_REST + "=, \t", max_size=2000)))
def test_any_tracestate_leaves_the_traceparent_alone(value: str) -> None:
    headers = sent_on(GOOD, value)
    assert headers["traceparent"].startswith(f"00-{TRACE}-")
    state = headers.get("tracestate", "")
    assert len(state) <= 512
    assert state == state.strip()
    assert state.isascii()


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 3),
    st.dictionaries(
        st.builds(str.__add__, st.sampled_from(KEY_FIRST), st.text(KEY_REST, max_size=7)),
        st.text(VALUE, min_size=1, max_size=8).map(lambda text: text.rstrip() or "v"),
        max_size=24,
    ),
)
def test_valid_context_goes_on_unchanged(
    trace_id: int, parent_id: int, flags: int, state: dict[str, str]
) -> None:
    pairs = ",".join(f"{key}={value}" for key, value in state.items())
    headers = sent_on(f"00-{trace_id:032x}-{parent_id:016x}-{flags:02x}", pairs)
    _, sent_trace, sent_parent, sent_flags = headers["traceparent"].split("-")
    assert (sent_trace, sent_flags) == (f"{trace_id:032x}", f"{flags:02x}")
    assert sent_parent != f"{parent_id:016x}"
    assert headers.get("tracestate", "") == pairs


# What calls made carry on


def test_calls_made_carry_the_ids_and_the_span_of_the_request() -> None:
    exchange = started(
        own(), request(headers={"traceparent": GOOD, "x-request-id": "r-1", "x-correlation-id": "c-1"})
    )
    assert outgoing_headers() == {}
    with exchange:
        assert outgoing_headers() == {
            "traceparent": f"00-{TRACE}-{exchange.span_id}-01",
            "X-Request-ID": "r-1",
            "X-Correlation-ID": "c-1",
        }
    assert outgoing_headers() == {}


def test_outside_a_request_nothing_is_sent_nothing_is_bound_and_no_exchange_is_current() -> None:
    bind(order=42)
    assert current_exchange() is None
    assert outgoing_headers() == {}


def test_baggage_of_the_caller_goes_on() -> None:
    assert sent_on(GOOD, baggage="tenant=acme,plan=pro%20plus")["baggage"] == "tenant=acme,plan=pro+plus"
    assert sent_on(None, baggage="tenant=acme")["baggage"] == "tenant=acme"
    assert "baggage" not in sent_on(GOOD)


@given(st.text(st.characters(max_codepoint=0xFF), max_size=300))
def test_any_baggage_gives_a_request_that_is_served(value: str) -> None:
    assert sent_on(GOOD, baggage=value)["traceparent"].startswith(f"00-{TRACE}-")


PROPAGATOR = """
from opentelemetry import trace
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

class Propagator(TextMapPropagator):
    fields = {"x-story"}
    def extract(self, carrier, context=None, getter=default_getter):
        value = getter.get(carrier, "X-Story")
        if not value or getter.keys(carrier):
            return context
        span = trace.SpanContext(int(value[0], 16), 7, True, trace.TraceFlags(1))
        return trace.set_span_in_context(trace.NonRecordingSpan(span), context)
    def inject(self, carrier, context=None, setter=default_setter):
        here = trace.get_current_span(context).get_span_context()
        setter.set(carrier, "x-story", f"{here.trace_id:x}")
"""

IN_AND_OUT = """
from obs_middleware import Observer, RequestInfo, outgoing_headers
headers = {"traceparent": "GOOD", "baggage": "tenant=acme", "x-story": "cafe"}
exchange = Observer(access_log=False).gateway.start(RequestInfo("GET", "/", "", "http", headers.get))
with exchange:
    print(exchange.trace_id.lstrip("0"), *sorted(name for name in outgoing_headers() if name[0] != "X"))
""".replace("GOOD", GOOD)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a propagator as its package would."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "story_propagator.py").write_text(PROPAGATOR)
    info = folder / "story_propagator-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: story-propagator\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[opentelemetry_propagator]\nstory = story_propagator:Propagator\n"
    )
    return folder


def skip_unless_opentelemetry_takes(propagators: str) -> None:
    try:
        python("import opentelemetry.propagate", env={"OTEL_PROPAGATORS": propagators})
    except AssertionError:
        pytest.skip("this release of opentelemetry-api can't be imported so")


@pytest.mark.parametrize(
    ("propagators", "is_continued", "sent"),
    [
        ("", True, "baggage traceparent"),
        ("tracecontext,baggage", True, "baggage traceparent"),
        ("tracecontext", True, "traceparent"),
        ("baggage", False, "baggage"),
        ("none", False, ""),
        ("story", None, "x-story"),
        ("story, tracecontext", True, "traceparent x-story"),
    ],
)
def test_propagators_of_the_environment_are_honoured(
    plugins: Path, propagators: str, is_continued: bool | None, sent: str
) -> None:
    if propagators in ("", "none"):
        skip_unless_opentelemetry_takes(propagators)
    trace_id, *names = python(IN_AND_OUT, env={"OTEL_PROPAGATORS": propagators}, path=(plugins,)).split()
    expected = {True: TRACE.lstrip("0"), None: "cafe"}
    assert trace_id == expected[is_continued] if is_continued is not False else trace_id != TRACE.lstrip("0")
    assert " ".join(names) == sent


def test_propagator_set_in_code_is_honoured(plugins: Path) -> None:
    code = "import story_propagator as s\nfrom opentelemetry import propagate\n"
    code += "propagate.set_global_textmap(s.Propagator())\n"
    assert python(code + IN_AND_OUT, path=(plugins,)).split() == ["cafe", "x-story"]


@pytest.mark.parametrize("entries", ["a=1,b=2", "a=1"])
def test_trace_state_changes_as_the_stock_one_does(entries: str) -> None:
    ours, stock = parse_tracestate(entries), TraceState.from_header([entries])
    for change in (
        lambda state: state,
        lambda state: state.add("c", "3"),
        lambda state: state.add("a", "3"),
        lambda state: state.add("c", "not=valid"),
        lambda state: state.update("a", "3"),
        lambda state: state.update("c", "3"),
        lambda state: state.update("", "3"),
        lambda state: state.delete("a"),
        lambda state: state.delete("no"),
    ):
        changed, expected = change(ours), change(stock)
        assert changed.to_header() == expected.to_header()
        assert repr(changed) == repr(expected)
        assert list(changed) == list(changed.keys()) == list(expected)
        assert list(changed.items()) == list(expected.items())
        assert list(changed.values()) == list(expected.values())
        assert ("a" in changed, len(changed)) == ("a" in expected, len(expected))


def test_trace_state_of_level_2_can_be_changed_and_stays_within_32_members() -> None:
    state = parse_tracestate("1@b=2")
    assert state["1@b"] == "2"
    assert state.add("c", "3").to_header() == "c=3,1@b=2"
    full = parse_tracestate(",".join(f"k{number}=1" for number in range(32)))
    assert full.add("one", "more") is full
    assert len(full.update("k5", "2")) == 32


@pytest.mark.parametrize(
    ("propagators", "sent"),
    [
        ("story,nobodys", "x-story"),
        ("nobodys", "baggage traceparent"),
        (" , ", "baggage traceparent"),
        ("story,,tracecontext", "traceparent x-story"),
    ],
)
def test_propagator_that_is_not_installed_is_left_out(plugins: Path, propagators: str, sent: str) -> None:
    _, *names = python(IN_AND_OUT, env={"OTEL_PROPAGATORS": propagators}, path=(plugins,)).split()
    assert " ".join(names) == sent


@pytest.mark.parametrize("kind", ["scope", "environ"])
def test_propagator_that_searches_by_prefix_gets_its_keys_also_when_it_is_set_late(kind: str) -> None:
    """As Jaeger's, whose baggage is in headers `uberctx-…`."""
    code = f"""
from opentelemetry import baggage, propagate
from opentelemetry.context import get_current
from opentelemetry.propagators.textmap import TextMapPropagator
from obs_middleware import Observer
from obs_middleware.gateway import request_info, scope_request_info

class Prefix(TextMapPropagator):
    fields = {{"uberctx"}}
    def extract(self, carrier, context=None, getter=None):
        for key in getter.keys(carrier):
            if key.startswith("uberctx-"):
                context = baggage.set_baggage(key[8:], getter.get(carrier, key)[0], context=context)
        return context or get_current()
    def inject(self, carrier, context=None, setter=None): ...

own = Observer(log_setup=False, access_log=False)
propagate.set_global_textmap(Prefix())
if {kind == "scope"}:
    scope = {{"type": "http", "method": "GET", "path": "/", "headers": [(b"uberctx-user", b"seven")]}}
    info = scope_request_info(scope, ())
else:
    environ = {{"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_UBERCTX_USER": "seven", "wsgi.input": None}}
    info = request_info(environ, ())
with own.gateway.start(info):
    print(dict(baggage.get_all()))
"""
    assert python(code) == "{'user': 'seven'}\n"
