"""Where spans are sent, and when that is left to the SDK's own exporter."""

from __future__ import annotations

from pathlib import Path

import pytest

from obs_middleware.tracing.otlp.connection import target


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c"}, "https://c/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/"}, "https://c/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:1/base/"}, "http://[::1]:1/base/v1/traces"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:1/a?key=secret",
            },
            "http://t:1/a",
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t"}, "http://t/"),
        (
            {"HTTP_PROXY": "http://proxy", "NO_PROXY": "c", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"},
            "http://c/v1/traces",
        ),
        (
            {"HTTPS_PROXY": "http://proxy", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"},
            "http://c/v1/traces",
        ),
    ],
    ids=str,
)
def test_where_to(variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    to = target()
    assert to is not None
    assert str(to) == url
    assert ("secret" in to.path) == ("secret" in str(variables))


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_PROXY": "http://proxy"},
        {"http_proxy": "http://proxy"},
        {"ALL_PROXY": "http://proxy"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://c"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4318"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:port"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:word@c"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"},
        {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "gcp"},
        {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER": "gcp"},
        {"OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "True"},
        {"NETRC": __file__},
    ],
    ids=str,
)
def test_what_only_the_sdks_own_exporter_can_is_left_to_it(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert target() is None


def test_passwords_at_home_are_left_to_requests(tmp_path: Path) -> None:
    assert target() is not None
    (tmp_path / ".netrc").touch()
    assert target() is None
