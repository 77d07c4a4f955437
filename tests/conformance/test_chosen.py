"""What is left out, and under which names and labels the rest is shown."""

from __future__ import annotations

import gc

from tests.conformance.conftest import MakeProbe
from tests.conformance.front_ends import FrontEnd
from tests.conformance.messages import Request
from tests.conformance.probes import ACTIVE, DURATION, Probe

CALLER = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def _nothing_of(app: Probe, path: str) -> None:
    """Assert that a request is on no signal, while the one after it is on all."""
    app.call(Request(b"/items/1"))
    (line,) = app.access_lines(1)
    assert line["path"] == "/items/1"
    assert [span.attributes["url.path"] for span in app.spans(1) if span.attributes] == ["/items/1"]
    assert sum(app.counted(1).values()) == 1
    assert not any(path in str(labels) for _, labels in app.samples())
    assert app.value(ACTIVE) == 0


def test_excluded_path_is_on_no_signal_and_served_as_ever(make: MakeProbe) -> None:
    """A path of `exclude_paths` has no metric, no span and no access line, and is served with its ID."""
    app = make(exclude_paths="/own-*,/whoami")
    for target in (b"/whoami", b"/own-id"):
        response = app.call(Request(target, headers=(CALLER, (b"x-request-id", b"mine"))))
        assert response.status == 200
        assert response.one("x-request-id") == ("mine" if target == b"/whoami" else "chosen-by-the-app")
    _nothing_of(app, "own-id")


def test_excluded_path_that_fails_is_on_no_signal(make: MakeProbe) -> None:
    """So it is where the view raises."""
    app = make(exclude_paths=["/boom"])
    app.call(Request(b"/boom"))
    _nothing_of(app, "boom")


def test_calls_made_on_an_excluded_path_are_not_sampled(make: MakeProbe) -> None:
    """Calls made on an excluded path go on with the caller's trace, and are not sampled."""
    app = make(exclude_paths="/outgoing")
    headers = app.call(Request(b"/outgoing", headers=(CALLER,))).body.decode()
    assert "0af7651916cd43dd8448eb211c80319c" in headers
    assert "b7ad6b7169203331" not in headers
    assert '-00"' in headers


def test_view_that_is_left_out_is_on_no_signal(make: MakeProbe) -> None:
    """A view with the decorator `leave_out` has no metric, no span and no access line."""
    app = make()
    response = app.call(Request(b"/left-out"))
    assert (response.status, response.body) == (200, b"seen")
    assert response.one("x-request-id")
    _nothing_of(app, "left-out")


def test_view_can_have_labels_of_its_own(make: MakeProbe) -> None:
    """A view with the decorator `add_labels` has its labels on its metrics, and no other view has them."""
    app = make()
    app.call(Request(b"/labelled"))
    app.call(Request(b"/items/1"))
    app.counted(2)
    assert app.value(f"{DURATION}_count", team="checkout", http_route="/labelled") == 1
    assert app.value(f"{DURATION}_count", team="checkout") == 1
    assert len(app.access_lines(2)) == 2


def test_tenant_is_a_label_a_field_and_an_attribute(make: MakeProbe) -> None:
    """The tenant of a header is on metrics, access line and span; tenants past the limit are `other`."""
    app = make(tenant_header="X-Tenant", tenant_max=2)
    for name in (b"acme", b"globex", b"acme", b"initech"):
        app.call(Request(b"/items/1", headers=((b"x-tenant", name),)))
    app.call(Request(b"/items/1"))
    app.counted(5)
    found = {
        name: app.value(f"{DURATION}_count", tenant=name) for name in ("acme", "globex", "other", "initech")
    }
    assert found == {"acme": 2, "globex": 1, "other": 1, "initech": 0}
    assert [line.get("tenant") for line in app.access_lines(5)] == ["acme", "globex", "acme", "initech", None]
    tenants = [(span.attributes or {}).get("obs.tenant") for span in app.spans(5)]
    assert tenants == ["acme", "globex", "acme", "initech", None]


def test_the_apps_own_lines_have_the_tenant(make: MakeProbe) -> None:
    """The app's own lines have the tenant too."""
    app = make(tenant_header="X-Tenant")
    app.call(Request(b"/log", headers=((b"x-tenant", b"globex"),)))
    own = [line for line in app.lines() if line["logger"] == "probe"]
    assert own[0]["tenant"] == "acme"  # which the app has written itself
    assert {line["tenant"] for line in own[1:]} == {"globex"}


def test_classic_names_stand_beside_the_others(make: MakeProbe, front_end: FrontEnd) -> None:
    """With `metric_names="both"` the classic names count the same requests, and `2xx` is shown where that is asked."""
    app = make(metric_names="both", metrics_group_status=True)
    app.call(Request(b"/items/1"))
    app.counted(1)
    labels = {"method": "GET", "path": front_end.routes["item"], "status": "2xx"}
    assert app.value("http_requests_total", **labels) == 1
    assert app.value("http_request_duration_seconds_count", **labels) == 1
    assert app.value(f"{DURATION}_count", http_response_status_code="2xx") == 1


def test_page_tells_of_the_runtime_and_of_itself(make: MakeProbe) -> None:
    """The page has the garbage collector's pauses, the collections that were begun and how many series it has."""
    app = make()
    gc.collect()
    lines = app.call(Request(b"/metrics")).body.decode().splitlines()
    numbers = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(numbers['cpython_gc_duration_seconds_count{cpython_gc_generation="2"}']) >= 1
    assert numbers["telemetry_collection_runs_total"] == "1.0"
    assert float(numbers["telemetry_series"]) == len(numbers)
    assert make(runtime_metrics="none").value("process_open_fds") == 0
