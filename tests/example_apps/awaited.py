"""Metrics that dashboards ask for and that a service may not have yet. Without this list nothing is excused."""

from __future__ import annotations

from tests import scrapers
from tests.running import Server

AWAITED = frozenset(
    {
        "zerostate_blacklisted_executors",
        "zerostate_channel_balance_units",
        "zerostate_channels",
        "zerostate_p2p_connections",
        "zerostate_p2p_peers",
        "zerostate_receipts_total",
        "zerostate_reputation_score",
        "zerostate_settlement_amount_units",
        "zerostate_settlement_duration_seconds",
        "zerostate_wasm_memory_bytes",
        "tokpulse_assignment_total",
        "tokpulse_exposure_total",
        "tokpulse_guardrail_breach_total",
        "tokpulse_job_attempts_total",
        "tokpulse_job_processing_duration_seconds",
        "tokpulse_job_queue_size",
        "tokpulse_tenant_throttling_total",
        "tokpulse_webhook_queue_depth",
        "tokpulse_widget_lcp_proxy_ms",
    }
)


def missing(prometheus: Server) -> set[str]:
    """Name those that are really not there; one that is there must give data."""
    names = set(scrapers.ask(prometheus, "label/__name__/values"))
    return {one for one in AWAITED if not {one, f"{one}_count"} & names}
