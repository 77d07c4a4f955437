"""Path to Reply: the probes and the metrics page, and who may see what."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from obs_middleware.health.checks import FAIL

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from prometheus_client import CollectorRegistry

    from obs_middleware.health.probes import Health, Probes
    from obs_middleware.metrics.exposition import Exposition
    from obs_middleware.request import RequestInfo
    from obs_middleware.settings import Settings

_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_HEALTH = {"Content-Type": "application/health+json", "Cache-Control": "no-store"}


class Reply(msgspec.Struct, frozen=True):
    """A response that the core makes; the adapter only sends it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Endpoints:
    """Answer the paths that are ours."""

    def __init__(self, settings: Settings, probes: Probes, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self.are_details_open = False
        self._by_path: dict[str, Callable[[RequestInfo], Reply]] = {
            settings.metrics_path: self._metrics,
            settings.live_path: lambda info: self._health(info, probes.live()),
            settings.ready_path: lambda info: self._health(info, probes.ready()),
            settings.startup_path: lambda info: self._health(info, probes.startup()),
        }
        self.paths = frozenset(self._by_path)
        # What takes time runs in threads of our own, so that neither an app that fills the default ones nor a slow
        # collector keeps a probe waiting.
        self._slow = {settings.metrics_path: "obs-scrape", settings.ready_path: "obs-ready"}
        self._threads: dict[str, Executor] = {}

    def threads(self, path: str) -> Executor | None:
        """Return the threads to answer a path in under an event loop; None where the answer takes no time."""
        name = self._slow.get(path)
        if name is None or path in self._threads:
            return self._threads.get(path)
        from concurrent.futures import ThreadPoolExecutor  # under WSGI nobody needs it: 0.1 MB less

        return self._threads.setdefault(path, ThreadPoolExecutor(4, thread_name_prefix=name))

    def reply(self, info: RequestInfo, path: str) -> Reply:
        """Answer one of `paths`."""
        if info.method not in ("GET", "HEAD"):
            return Reply(405, {**_TEXT, "Allow": "GET, HEAD"}, b"Method Not Allowed\n")
        return self._by_path[path](info)

    @cached_property
    def _exposition(self) -> Exposition:
        from obs_middleware.metrics.exposition import Exposition  # 0.2 MB less for who is never scraped

        return Exposition(self._registry)

    def _metrics(self, info: RequestInfo) -> Reply:
        token = self._settings.metrics_token
        if token is not None and not _bears(info, token):
            return Reply(401, {**_TEXT, "WWW-Authenticate": "Bearer"}, b"Unauthorized\n")
        body, headers = self._exposition.page(
            accept=info.header("accept") or "",
            accept_encoding=info.header("accept-encoding") or "",
        )
        return Reply(200, headers, body)

    def _health(self, info: RequestInfo, health: Health) -> Reply:
        status, checks = health
        token = self._settings.health_token
        answer: dict[str, object] = {"status": status}
        if checks and (self.are_details_open or (token is not None and _bears(info, token))):
            answer["checks"] = checks
        return Reply(503 if status == FAIL else 200, _HEALTH, msgspec.json.encode(answer))


def _bears(info: RequestInfo, token: str) -> bool:
    """Compare in constant time (RFC 6750, section 2.1)."""
    scheme, _, given = (info.header("authorization") or "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())
