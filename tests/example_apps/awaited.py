"""Metrics that dashboards ask for and no service has yet; a test says which of them have come."""

from __future__ import annotations

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
