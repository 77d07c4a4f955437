"""Session: what the checks of one run share: the app, where its pages are, and the metrics page at the beginning."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec

from obs_middleware.cli.doctor import page as pages
from obs_middleware.cli.doctor.page import Page
from obs_middleware.cli.doctor.service import Answer, Service


class Options(msgspec.Struct, frozen=True):
    """What the caller says of the app.

    Attributes:
        path: a page of the app that answers GET with 200 and changes nothing.
        token: opens the metrics page.
        health_token: opens the details of probes.
    """

    path: str = "/"
    metrics_path: str = "/metrics"
    live_path: str = "/health/live"
    ready_path: str = "/health/ready"
    startup_path: str = "/health/startup"
    token: str | None = None
    health_token: str | None = None
    request_id_header: str = "X-Request-ID"


class Session:
    """One run.

    Args:
        service: answers the app's paths.
        ops: answers ours; the same, unless they have a port of their own.

    Attributes:
        first: the metrics page before the other checks; None where there is none to be had.
        mark: a word that nobody else has, in each path that is made up here.
        secret: a text that must not come back.
        observed: how many requests have come back with a request ID.
    """

    def __init__(self, service: Service, ops: Service, options: Options) -> None:
        self.service, self.ops, self.options = service, ops, options
        self.first: Page | None = None
        self.mark = f"obs-doctor-{secrets.token_hex(4)}"
        self.secret = f"hunter2-{secrets.token_hex(12)}"
        self.observed = 0

    def get(self, path: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask the app, at the caller's page unless a path is given."""
        return self.ask("GET", path, headers)

    def ask(self, method: str, path: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask the app, by any method."""
        answer = self.service.ask(method, self.options.path if path is None else path, headers)
        self.observed += bool(answer.header(self.options.request_id_header))
        return answer

    def metrics(self, accept: str = pages.TEXT, *, has_token: bool = True, **headers: str) -> Answer:
        """Ask for the metrics page."""
        token = self.options.token if has_token else None
        sent = {"Accept": accept, **headers, **bearer(token)}
        return self.ops.get(self.options.metrics_path, sent)

    def page(self) -> Page | None:
        """Return the metrics page as it is now; None where there is none, or it can't be parsed."""
        answer = self.metrics()
        try:
            return Page(answer.body.decode()) if answer.status == 200 else None
        except ValueError:
            return None


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that brings a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}
