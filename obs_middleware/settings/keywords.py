"""The settings as keyword arguments, so that type checkers and editors know them.

Generated: change fields.py, then call `make settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class Keywords(TypedDict, total=False):
    """One key for each setting (see `Settings`)."""

    service_name: str
    service_version: str | None
    environment: str | None
    metrics_path: str | None
    metrics_token: str | None
    metrics_networks: str | tuple[str, ...]
    metrics_access: Literal["auto", "open", "both"]
    metrics_buckets: tuple[float, ...]
    metrics_route_buckets: Mapping[str, tuple[float, ...]]
    native_histograms: bool
    metrics_detail: Literal["route", "status"]
    metrics_group_status: bool
    metric_names: str | tuple[str, ...]
    http_metrics: str | tuple[str, ...]
    runtime_metrics: str | tuple[str, ...]
    metrics_max_series: int
    django_metrics: str | tuple[str, ...]
    django_health_databases: str | tuple[str, ...] | None
    n_plus_one_queries: int | None
    exclude_paths: str | tuple[str, ...]
    tenant_header: str | None
    tenant_baggage: str | None
    tenant_callback: Any | None
    tenant_label: str
    tenants: str | tuple[str, ...]
    tenant_max: int
    metrics_workers: str
    metrics_directory: str | None
    metrics_prefix: str | None
    metrics_default_labels: Literal["target_info", "series", "none"]
    events_kept: int
    live_path: str | None
    ready_path: str | None
    startup_path: str | None
    health_path: str | None
    health_token: str | None
    health_networks: str | tuple[str, ...]
    health_access: Literal["auto", "open", "both"]
    ops_port: int | None
    ops_host: str
    watchdog_seconds: float | None
    drain_seconds: float | None
    drain_path: str | None
    trusted_proxies: str | tuple[str, ...]
    request_id_header: str
    correlation_id_header: str
    error_response: bool
    trust_request_ids: bool
    request_id_max_length: int
    request_id_characters: str
    send_correlation_id: bool
    client_address: Literal["full", "truncated", "none"]
    log_setup: bool | Literal["true", "false", "force"]
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    log_format: Literal["auto", "json", "pretty"]
    log_line_bytes: int
    log_rename_fields: str | tuple[str, ...]
    log_caller: Literal["never", "warnings", "always"]
    access_log: bool
    flush_each_request: bool | None
    redact_pii: bool
    redact_keys: str | tuple[str, ...]
    redact_allowed_keys: str | tuple[str, ...]
    redact_patterns: str | tuple[str, ...]
    redact_callback: Any | None
    redact_mode: Literal["mask", "hash"]
    redact_hash_key: str | None
    tracing_enabled: bool
    trace_sample_ratio: float | None
    otlp_endpoint: str | None
