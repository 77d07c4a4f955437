"""Names that Prometheus or its linter would refuse are refused where they are declared."""

from __future__ import annotations

import subprocess

import pytest

from obs_middleware import ConfigError
from obs_middleware.metrics.naming import complaints
from tests import programs
from tests.core.support import observer

PROMTOOL = programs.find("promtool")
NAMES = """
orders http_requests queue_depth charge_seconds upload_bytes temperature_celsius battery_volts
mass_grams widget_render_ms latency_milliseconds size_kb size_kilobytes wait_minutes age_days
length_inches load_bits wait_sec wait_s wait_h guild_total things_sum
things_count things_bucket orders_counter depth_gauge sizes_histogram a_summary webhookQueue
shop_orders_of_m_day shop_us_orders kelvin_kelvins gigabytes_free decameters_run seconds_until_milliseconds ms_wait
days_open exa_bytes m
""".split()  # noqa: SIM905


def test_names_of_all_that_prometheus_takes_gladly_are_taken() -> None:
    metrics = observer().metrics
    for name in ("orders", "charge_seconds", "shop_upload_bytes", "http_requests", "battery_volts"):
        metrics.gauge(name, "About.", ["plan", "storeid"])


@pytest.mark.parametrize(
    ("name", "labels", "complaint"),
    [
        ("", [], "letters, digits"),
        ("2nd", [], "letters, digits"),
        ("a-b", [], "letters, digits"),
        ("a b", [], "letters, digits"),
        ("rule:sum", [], "letters, digits"),
        ("größe", [], "letters, digits"),
        ("orders\n", [], "letters, digits"),
        ("orders", ["__name__"], "not begin with two"),
        ("orders", ["a.b"], "a label must be"),
        ("orders", ["a", "a"], "must differ"),
    ],
)
def test_what_prometheus_can_not_take_is_refused_even_where_the_name_is_meant(
    name: str, labels: list[str], complaint: str
) -> None:
    for lint in (True, False):
        with pytest.raises(ConfigError, match=complaint):
            observer().metrics.counter(name, "About.", labels, lint=lint)


def test_a_metric_without_a_word_about_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="a documentation is needed"):
        observer().metrics.counter("orders", " ")


@pytest.mark.parametrize(
    ("name", "labels", "complaint"),
    [
        ("widget_render_ms", [], "units are written out, got 'ms'"),
        ("render_milliseconds", [], "seconds is the base unit, got 'milliseconds'"),
        ("upload_megabytes", [], "bytes is the base unit"),
        ("guild_total", [], "a gauge must not end in _total"),
        ("things_count", [], "a gauge must not end in _count"),
        ("depth_gauge", [], "must not tell the type"),
        ("webhookQueue", [], "snake_case, got 'webhookQueue'"),
        ("webhooks", ["storeId"], "snake_case, got 'storeId'"),
        ("webhooks", ["le"], "belongs to a histogram"),
    ],
)
def test_what_the_linter_complains_about_is_refused_unless_it_is_meant(
    name: str, labels: list[str], complaint: str
) -> None:
    metrics = observer().metrics
    with pytest.raises(ConfigError, match=rf"{complaint}.*lint=False"):
        metrics.gauge(name, "About.", labels)
    metrics.gauge(name, "About.", labels, lint=False)


def test_a_unit_that_is_none_of_prometheus_is_refused() -> None:
    with pytest.raises(ConfigError, match="seconds is the base unit"):
        observer().metrics.histogram("wait", "About.", unit="milliseconds")


@pytest.mark.once
@pytest.mark.skipif(PROMTOOL is None, reason="no promtool here (scripts/fetch-debian-testing)")
@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "summary"])
def test_we_complain_where_promtool_does(kind: str) -> None:
    samples = {
        "counter": "{0}_total 1\n",
        "gauge": "{0} 1\n",
        "histogram": '{0}_bucket{{le="+Inf"}} 1\n{0}_sum 1\n{0}_count 1\n',
        "summary": "{0}_sum 1\n{0}_count 1\n",
    }
    total = "_total" if kind == "counter" else ""
    names = [name for name in NAMES if not (kind == "counter" and name.endswith("_total"))]
    page = "".join(
        f"# HELP {name}{total} About.\n# TYPE {name}{total} {kind}\n" + samples[kind].format(name)
        for name in names
    )
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=page, capture_output=True, text=True, timeout=30
    )
    assert done.returncode in (0, 3), done.stderr
    theirs = {line.split(" ", 1)[0].removesuffix(total) for line in done.stderr.splitlines() if " " in line}
    ours = {name for name in names if [*complaints(kind, name + total, ())]}
    assert ours == theirs
