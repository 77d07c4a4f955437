"""Routes and series."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.apps.probe import held
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import Request
from tests.conformance.probes import ACTIVE, REQUEST_SIZE, RESPONSE_SIZE, Probe
from tests.conformance.servers import eventually

QUIET = {"access_log": False, "tracing_enabled": False}


def test_a_route_is_counted_by_its_template(app: Probe, front_end: FrontEnd) -> None:
    """A route is counted by its template, not by its path."""
    for i in (1, 2, 3):
        assert app.get(f"/items/{i}").body == f"item {i}".encode()
    assert app.counted(3) == {("GET", front_end.routes["item"], "200", ""): 3}
    assert {span.name for span in app.spans(3)} == {f"GET {front_end.routes['item']}"}
    assert {line["route"] for line in app.access_lines(3)} == {front_end.routes["item"]}


@pytest.mark.needs("router")
def test_an_included_router_keeps_its_prefix(app: Probe, front_end: FrontEnd) -> None:
    """An included router (blueprint, include) keeps its prefix in the route."""
    assert app.get("/api/v1/users/ada").body == b"user ada"
    assert app.counted(1) == {("GET", front_end.routes["user"], "200", ""): 1}
    assert _route(app) == front_end.routes["user"]


@pytest.mark.needs("mount")
def test_a_mounted_app_keeps_its_prefix(app: Probe, front_end: FrontEnd) -> None:
    """A mounted app keeps its prefix and its parameters in the route."""
    for x in ("a", "b"):
        assert app.get(f"/sub/things/{x}").body == f"thing {x}".encode()
    assert app.counted(2) == {("GET", front_end.routes["thing"], "200", ""): 2}
    assert _route(app) == front_end.routes["thing"]


@pytest.mark.needs("mount")
def test_an_unmatched_path_in_a_mounted_app_is_unmatched(app: Probe) -> None:
    """An unmatched path inside a mounted app makes no series of its own."""
    for x in ("a", "b"):
        assert app.get(f"/sub/nothing/{x}").status == 404
    [((_, route, status, _), count)] = app.counted(2).items()
    assert (status, count) == ("404", 2)
    assert "nothing" not in route


def test_an_unmatched_path_is_counted_without_a_route(app: Probe) -> None:
    """An unmatched path is counted, once and without a route."""
    for i in range(5):
        assert app.get(f"/nothing/{i}").status == 404
    assert app.counted(5) == {("GET", "", "404", ""): 5}
    assert {span.name for span in app.spans(5)} == {"GET"}
    assert not any("http.route" in (span.attributes or {}) for span in app.spans(5))


def test_an_unknown_method_is_counted_as_other(app: Probe) -> None:
    """Unknown methods are counted together, as _OTHER."""
    for method in ("BREW", "get", "PROPFIND", "Get", "X-Y"):
        app.get("/items/1", method=method)
    assert {labels[0] for labels in app.counted(5)} == {"_OTHER"}
    spans = app.spans(5)
    assert {span.name.split()[0] for span in spans} == {"HTTP"}
    assert {(span.attributes or {})["http.request.method"] for span in spans} == {"_OTHER"}
    assert "BREW" in {(span.attributes or {})["http.request.method_original"] for span in spans}


def test_a_refused_method_is_counted_as_405(app: Probe) -> None:
    """A refused method is counted as 405."""
    assert app.get("/items/1", method="DELETE").status == 405
    [(method, _, status, error)] = app.counted(1)
    assert (method, status, error) == ("DELETE", "405", "")


def test_head_is_counted_as_head(app: Probe, front_end: FrontEnd) -> None:
    """HEAD is answered as by the bare app and counted as HEAD with its route."""
    response = app.get("/items/1", method="HEAD")
    assert (response.status, response.body) == (200, b"")
    [(method, route, status, _)] = app.counted(1)
    assert (method, route, status) == ("HEAD", front_end.routes["item"], "200")
    assert app.value(f"{RESPONSE_SIZE}_sum") == 0


def test_a_missing_slash_is_redirected_as_by_the_bare_app(app: Probe) -> None:
    """A redirect for a missing trailing slash is counted as a redirect."""
    response = app.get("/slashed/7")
    assert response.status in (301, 307, 308)
    assert response.one("location").endswith("/slashed/7/")
    assert app.get("/slashed/7/").body == b"slashed 7"
    assert {labels[2] for labels in app.counted(2)} == {str(response.status), "200"}


@pytest.mark.once
def test_ten_thousand_unmatched_paths_make_one_series(make: Any, front_end: FrontEnd) -> None:
    """10 000 unmatched paths make one series."""
    requests = (Request(b"/nothing/%d/to/see" % i) for i in range(front_end.many))
    assert _ask(make, front_end, requests) == {("GET", "", "404", ""): front_end.many}


@pytest.mark.once
def test_ten_thousand_parameters_make_one_series(make: Any, front_end: FrontEnd) -> None:
    """10 000 values of a parameter make one series."""
    requests = (Request(b"/items/%d?page=%d" % (i, i)) for i in range(front_end.many))
    assert _ask(make, front_end, requests) == {("GET", front_end.routes["item"], "200", ""): front_end.many}


@pytest.mark.once
@pytest.mark.needs("mount")
def test_ten_thousand_parameters_of_a_mounted_app_make_one_series(make: Any, front_end: FrontEnd) -> None:
    """10 000 values of a parameter in a mounted app make one series."""
    requests = (Request(b"/sub/things/t%d" % i) for i in range(front_end.many))
    assert _ask(make, front_end, requests) == {("GET", front_end.routes["thing"], "200", ""): front_end.many}


@pytest.mark.once
def test_ten_thousand_methods_make_one_series(make: Any, front_end: FrontEnd) -> None:
    """10 000 methods make one series."""
    requests = (Request(b"/nothing", b"VERB%d" % i) for i in range(front_end.many))
    assert _ask(make, front_end, requests) == {("_OTHER", "", "404", ""): front_end.many}


@pytest.mark.once
def test_ten_thousand_missing_slashes_make_one_series(make: Any, front_end: FrontEnd) -> None:
    """10 000 redirects for a missing trailing slash make one series."""
    requests = (Request(b"/slashed/%d" % i) for i in range(front_end.many))
    [((method, route, status, error), count)] = _ask(make, front_end, requests).items()
    assert (method, status[0], error, count) == ("GET", "3", "", front_end.many)
    assert route in ("", front_end.routes["slashed"])


@pytest.mark.once
def test_ten_thousand_hosts_make_one_series(make: Any, front_end: FrontEnd) -> None:
    """10 000 Host headers make one series."""
    requests = (Request(b"/items/1", host=b"h%d.example.org" % i) for i in range(front_end.many))
    assert _ask(make, front_end, requests) == {("GET", front_end.routes["item"], "200", ""): front_end.many}


def test_requests_in_flight_are_counted_in_and_out(app: Probe) -> None:
    """The number of requests in flight rises and falls back to nought."""
    with app.connect() as slow:
        with held() as has_begun:
            slow.sendall(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            eventually(has_begun.is_set, "the slow request has begun")
            app.get("/items/1")
            app.counted(1)
            assert app.value(ACTIVE, http_request_method="GET", url_scheme="http") == 1
        while slow.recv(4096):
            pass
    for path in ("/boom", "/nothing", "/handled", "/stream"):
        app.get(path)
    app.counted(6)
    assert app.value(ACTIVE) == 0


def test_body_sizes_are_those_transferred(app: Probe) -> None:
    """Body sizes are the bytes transferred in both directions."""
    assert app.get("/echo", method="POST", body=b"x" * 1234).body == b"1234"
    line = app.access_line()
    assert (line["request_bytes"], line["response_bytes"]) == (1234, 4)
    assert app.value(f"{REQUEST_SIZE}_sum") == 1234
    assert app.value(f"{RESPONSE_SIZE}_sum") == 4


def test_body_sizes_are_those_of_this_request_also_around_a_stream(app: Probe) -> None:
    """Body sizes belong to their own request, also before and after a stream."""
    sizes = {"/items/1": len("item 1"), "/stream": len("one,two,three"), "/items/123": len("item 123")}
    for target in sizes:
        app.get(target)
    assert {line["path"]: line["response_bytes"] for line in app.access_lines(3)} == sizes
    assert app.value(f"{RESPONSE_SIZE}_sum") == sum(sizes.values())


def _ask(make: Any, front_end: FrontEnd, requests: Iterable[Request]) -> Any:
    probe = make(**QUIET)
    front_end.call_all(probe.app, [Request(b"/items/1"), Request(b"/nothing")])
    before, samples = probe.counts(), len(probe.samples())
    front_end.call_all(probe.app, requests)
    # One label set is four histograms, with their buckets, and one gauge: nowhere near one for each value.
    assert len(probe.samples()) <= samples + 80
    return probe.counts() - before


def _route(app: Probe) -> Any:
    lines = app.access_lines()
    spans = app.exporter.get_finished_spans()
    assert {line["route"] for line in lines} == {(span.attributes or {}).get("http.route") for span in spans}
    return lines[0]["route"]
