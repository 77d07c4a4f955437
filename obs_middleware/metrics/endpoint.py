"""The endpoint of the metrics page."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from obs_middleware.ops.endpoints import Endpoint
from obs_middleware.reply import Reply

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from obs_middleware.errors import Report
    from obs_middleware.metrics.exposition.page import MetricsPage
    from obs_middleware.ops.access import Access
    from obs_middleware.request import RequestInfo
    from obs_middleware.settings import Settings


class MetricsAnswer:
    """Answer with the page of one registry."""

    def __init__(self, registry: CollectorRegistry, report: Report) -> None:
        self._registry = registry
        self._report = report

    @cached_property
    def _page(self) -> MetricsPage:
        from obs_middleware.metrics.exposition.page import (
            MetricsPage,  # memory that only a scraped process needs
        )

        return MetricsPage(self._registry, self._report)

    def __call__(self, info: RequestInfo, is_authorised: bool) -> Reply:
        body, headers = self._page.render(
            accept=info.header("accept") or "",
            accept_encoding=info.header("accept-encoding") or "",
        )
        return Reply(200, headers, body)


def metrics_endpoint(
    settings: Settings, registry: CollectorRegistry, report: Report, access: Access
) -> Endpoint:
    """Return the endpoint of the metrics page.

    Args:
        report: is told of a collector that has raised.
        access: makes the rule of who may ask.
    """
    rule = access.rule("metrics", is_required=True, is_open_directly=lambda: True)
    return Endpoint(settings.metrics_path, MetricsAnswer(registry, report), rule, thread_name="obs-scrape")
