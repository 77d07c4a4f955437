"""Request IDs: on every answer, once; a caller's safe one is kept, an unsafe one is replaced."""

from __future__ import annotations

from collections.abc import Iterator

from obs_middleware.cli.doctor.finding import Finding, failed, passed, skipped, warned
from obs_middleware.cli.doctor.service import Answer
from obs_middleware.cli.doctor.session import Session

_UNSAFE = '"><script>alert(1)</script>'
_ADD = (
    "put the middleware around the whole app: app.add_middleware(ObservabilityMiddleware), Observability(app) or "
    'INSTALLED_APPS = ["obs_django", ...]; another name of the header is --request-id-header'
)


def check(session: Session) -> Iterator[Finding]:
    """Ask for pages that are there, that are not, and by a method that is refused."""
    yield _on(session, "200", session.get(), cure="--path names a page that answers GET with 200")
    yield _on(
        session,
        "404",
        session.get(f"/{session.mark}"),
        cure="the app answers every path; nothing is wrong with it",
    )
    refused = session.ask("TRACE")  # safe by definition, and most frameworks have no route for it
    yield _on(session, "405", refused, cure="--path names a page that takes GET alone")
    yield _kept(session)
    yield _replaced(session)


def _on(session: Session, status: str, answer: Answer, *, cure: str) -> Finding:
    name, header = f"request ID on {status}", session.options.request_id_header
    ids = answer.all(header)
    if len(ids) > 1:
        return failed(
            name,
            f"{answer.asked} answers with {header} {len(ids)} times",
            f"let one layer alone send {header}",
        )
    if not ids:
        return failed(name, f"{answer.asked} answers {answer.status} without {header}", _ADD)
    if str(answer.status) != status:
        return skipped(name, f"{answer.asked} answers {answer.status}, with {header}", cure)
    return passed(name, f"{answer.asked} answers with {header}")


def _kept(session: Session) -> Finding:
    name, header, own = "caller's request ID", session.options.request_id_header, session.mark
    found = session.get(headers={header: own}).header(header)
    if not found:
        return skipped(name, f"no {header} on answers")
    if found != own:
        return warned(
            name,
            "a safe ID of the caller is replaced",
            "nothing, if trust_request_ids=False is meant; else set it to true",
        )
    return passed(name, "a safe ID is kept")


def _replaced(session: Session) -> Finding:
    name, header = "unsafe request ID", session.options.request_id_header
    found = session.get(headers={header: _UNSAFE}).header(header)
    if not found:
        return skipped(name, f"no {header} on answers")
    if "<" in found or found == _UNSAFE:
        cure = "another layer sends the ID back as it came: remove it, or put ours outside of it"
        return failed(name, f"{_UNSAFE} comes back", cure)
    return passed(name, "an ID with markup is replaced")
