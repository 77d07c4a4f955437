"""What an exporter can not be made of is refused when it is made: the error names it, and the cure."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from obs_middleware import ConfigError
from obs_middleware.export import JsonFile, OtlpMetrics, Pushgateway, Textfile
from tests.core.export.receiving import Own
from tests.core.support import observer

URL = "http://localhost:9091"
SECRET = "s3cr3t-w0rd"


def gateway(**options: Any) -> Callable[[], object]:
    return lambda: Pushgateway(URL, **options)


def otlp(*endpoint: Any, **options: Any) -> Callable[[], object]:
    return lambda: OtlpMetrics(*endpoint, **options)


def textfile(**options: Any) -> Callable[[], object]:
    return lambda: Textfile("shop.prom", **options)


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: JsonFile(3), "JsonFile wants the path of a file such as '/run/shop/metrics.json', got 3"),  # type: ignore[arg-type]
    (lambda: JsonFile(""), "JsonFile wants the path of a file such as '/run/shop/metrics.json', got ''"),
    (lambda: Textfile(None), "Textfile wants the path of a file such as .*, got None"),  # type: ignore[arg-type]
    (lambda: Textfile(b"shop.prom"), "Textfile wants the path of a file such as .*, got b'shop.prom'"),  # type: ignore[arg-type]
    (textfile(labels=["a"]), r"Textfile: labels must be a mapping such as {'zone': 'a'}, got \['a'\]"),
    (textfile(labels={"a-b": "x"}), "Textfile: labels has 'a-b', which is no name of a label: call it 'a_b'"),
    (textfile(labels={"__a": "x"}), "Textfile: labels has '__a', which is no name of a label: call it 'a'"),
    (textfile(labels={"7a": "x"}), "Textfile: labels has '7a', which is no name of a label: call it '_7a'"),
    (textfile(labels={3: "x"}), "Textfile: labels has 3, which is no name of a label"),
    (textfile(labels={"a": None}), "Textfile: labels must be a mapping of texts, got None as 'a'"),
    (gateway(grouping=["a"]), "Pushgateway: grouping must be a mapping such as"),
    (gateway(grouping={"a-b": "x"}), "Pushgateway: grouping has 'a-b', which is no name of a label: call it 'a_b'"),
    (gateway(grouping={"job": "x"}), "Pushgateway: grouping has 'job', which has a place of its own: job='x'"),
    (gateway(job=""), "Pushgateway: job must be a text, got ''"),
    (gateway(job=3), "Pushgateway: job must be a text, got 3"),
    (gateway(basic_auth="xy"), r"basic_auth must be a pair \('user', 'password'\), got a value of type str"),
    (gateway(basic_auth=(SECRET,)), "Pushgateway: basic_auth must be a pair .*, got a value of type tuple"),
    (gateway(basic_auth=("ann", None)), "Pushgateway: basic_auth must be a pair"),
    (gateway(timeout_seconds=0), "Pushgateway: timeout_seconds must be a positive number of seconds, got 0"),
    (gateway(timeout_seconds="5"), "Pushgateway: timeout_seconds must be a positive number of seconds, got '5'"),
    (gateway(timeout_seconds=math.nan), "Pushgateway: timeout_seconds must be a positive number"),
    (lambda: Pushgateway(3), "Pushgateway wants a URL such as 'http://localhost:9091', got 3"),  # type: ignore[arg-type]
    (lambda: Pushgateway("http://[::1"), "Pushgateway wants a URL such as 'http://localhost:9091', got "),
    (lambda: Pushgateway("localhost:99999"), "Pushgateway wants a URL such as 'http://localhost:9091', got "),
    (otlp("collector:4318"), "OtlpMetrics wants a URL such as 'http://collector:4318', got 'collector:4318'"),
    (otlp(""), "OtlpMetrics wants a URL such as 'http://collector:4318', got ''"),
    (otlp(URL, headers=f"a={SECRET}"), "headers must be a mapping such as {'x-key': 'abc'}, got a value of type str"),
    (otlp(URL, headers={"x-key": 3}), "OtlpMetrics: headers must be a mapping of texts, got a value of type int"),
    (otlp(timeout_seconds=0), "OtlpMetrics: timeout_seconds must be a positive number of seconds, got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "complaint"), WRONG)
def test_what_is_wrong_is_refused_with_its_cure(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        make()
    assert SECRET not in str(raised.value)


def test_numbers_may_be_values_of_labels(tmp_path: Path) -> None:
    own = observer()
    own.metrics.counter("orders", "Orders.").inc()
    own.exporters.add(Textfile(tmp_path / "shop.prom", labels={"shard": 3}))  # type: ignore[dict-item]
    assert own.exporters.push()
    assert 'orders_total{shard="3"} 1.0' in (tmp_path / "shop.prom").read_text()


class Named(Own):
    def __init__(self, name: Any) -> None:
        super().__init__()
        self.name = name


def test_a_class_is_no_exporter() -> None:
    with pytest.raises(
        ConfigError, match=r"exporters.add wants an exporter, got the class Textfile: Textfile\(…\)"
    ):
        observer().exporters.add(Textfile)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [None, 3, ""])
def test_an_exporter_whose_name_is_no_text_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match=f"name of an exporter must be a text, got {name!r}"):
        observer().exporters.add(Named(name))


def test_an_exporter_without_a_name_has_that_of_its_class() -> None:
    class Nameless:
        interval_seconds = 60.0

        def export(self, collected: object) -> None:
            raise OSError

    own = observer()
    own.exporters.add(Nameless())  # type: ignore[arg-type]
    assert not own.exporters.push()
    assert own.registry.get_sample_value("obs_export_failures_total", {"exporter": "Nameless"}) == 1


def test_two_exporters_of_one_observer_write_no_file_in_turns(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    own = observer()
    own.exporters.add(Textfile(tmp_path / "shop.prom"), Textfile(tmp_path / "other.prom"))
    for same in (JsonFile(tmp_path / "shop.prom"), Textfile(tmp_path / "link" / "shop.prom")):
        with pytest.raises(ConfigError, match=r"shop\.prom is the file of another exporter already"):
            own.exporters.add(same)
    with pytest.raises(ConfigError, match="is the file of another exporter already"):
        own.exporters.add(JsonFile(tmp_path / "a"), JsonFile(tmp_path / "a"))


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_job_without_a_name_is_refused(name: Any) -> None:
    with pytest.raises(
        ConfigError, match=f"the name of a job must be a text such as 'nightly', got {name!r}"
    ):
        observer().exporters.job(name)
