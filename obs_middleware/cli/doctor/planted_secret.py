"""A secret that is sent in a query, in headers and in baggage comes back in no answer and on no metrics page."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from obs_middleware.cli.doctor import page as pages
from obs_middleware.cli.doctor.finding import Finding, failed, passed, some
from obs_middleware.cli.doctor.session import Session

_NAME = "planted secret"


def check(session: Session) -> Iterator[Finding]:
    """Send it to a page that is there and to one that is not, then search all answers of this run."""
    secret = session.secret
    headers = {
        "Authorization": f"Bearer {secret}",
        "Cookie": f"session={secret}",
        "X-Api-Key": secret,
        "baggage": f"password={quote(secret)}",
    }
    for path in (session.options.path, f"/{session.mark}"):
        sign = "&" if "?" in path else "?"
        session.get(f"{path}{sign}token={secret}&password={secret}", headers)
    for accept in (pages.TEXT, pages.OPENMETRICS):
        session.metrics(accept)
    yield _searched(session)


def _searched(session: Session) -> Finding:
    answers = [*session.service.answers, *([] if session.ops is session.service else session.ops.answers)]
    secret = session.secret.encode()
    leaks = [
        answer.asked.replace(session.secret, "…")
        for answer in answers
        if secret in answer.body or any(session.secret in value for _, value in answer.headers)
    ]
    if leaks:
        cure = "let the app not repeat what it is sent; a debug mode that shows requests must be off"
        return failed(_NAME, f"it comes back from {some(leaks)}", cure)
    return passed(_NAME, f"{len(answers)} answers do not have what query, headers and baggage had")
