"""A secret that is sent in a query, in headers and in baggage comes back in no answer and on no metrics page."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from obs_middleware.cli.doctor import page as pages
from obs_middleware.cli.doctor.finding import Finding, failed, passed, some
from obs_middleware.cli.doctor.visit import Visit

_NAME = "planted secret"


def check(visit: Visit) -> Iterator[Finding]:
    """Send it to a page that is there and to one that is not, then search all answers of this walk."""
    secret = visit.secret
    headers = {
        "Authorization": f"Bearer {secret}",
        "Cookie": f"session={secret}",
        "X-Api-Key": secret,
        "baggage": f"password={quote(secret)}",
    }
    for path in (visit.options.path, f"/{visit.mark}"):
        sign = "&" if "?" in path else "?"
        visit.get(f"{path}{sign}token={secret}&password={secret}", headers)
    for accept in (pages.TEXT, pages.OPENMETRICS):
        visit.metrics(accept)
    yield _searched(visit)


def _searched(visit: Visit) -> Finding:
    answers = [*visit.service.answers, *([] if visit.ops is visit.service else visit.ops.answers)]
    secret = visit.secret.encode()
    leaks = [
        answer.asked.replace(visit.secret, "…")
        for answer in answers
        if secret in answer.body or any(visit.secret in value for _, value in answer.headers)
    ]
    if leaks:
        cure = "let the app not repeat what it is sent; a debug mode that shows requests must be off"
        return failed(_NAME, f"it comes back from {some(leaks)}", cure)
    return passed(_NAME, f"{len(answers)} answers do not have what query, headers and baggage had")
