"""Request IDs: on every answer, once; a caller's safe one is kept, an unsafe one is replaced."""

from __future__ import annotations

from collections.abc import Iterator

from obs_middleware.cli.doctor.finding import Finding, failed, passed, skipped, warned
from obs_middleware.cli.doctor.service import Answer
from obs_middleware.cli.doctor.visit import Visit

_UNSAFE = '"><script>alert(1)</script>'
_ADD = (
    "put the middleware around the whole app: app.add_middleware(ObservabilityMiddleware), Observability(app) or "
    'INSTALLED_APPS = ["obs_django", ...]; another name of the header is --request-id-header'
)


def check(visit: Visit) -> Iterator[Finding]:
    """Ask for pages that are there, that are not, and by a method that is refused."""
    yield _on(visit, "200", visit.get(), cure="--path names a page that answers GET with 200")
    yield _on(
        visit, "404", visit.get(f"/{visit.mark}"), cure="the app answers every path; nothing is wrong with it"
    )
    refused = visit.ask("TRACE")  # safe by definition, and most frameworks have no route for it
    yield _on(visit, "405", refused, cure="--path names a page that takes GET alone")
    yield _kept(visit)
    yield _replaced(visit)


def _on(visit: Visit, status: str, answer: Answer, *, cure: str) -> Finding:
    name, header = f"request ID on {status}", visit.options.request_id_header
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


def _kept(visit: Visit) -> Finding:
    name, header, own = "caller's request ID", visit.options.request_id_header, visit.mark
    found = visit.get(headers={header: own}).header(header)
    if not found:
        return skipped(name, f"no {header} on answers")
    if found != own:
        return warned(
            name,
            "a safe ID of the caller is replaced",
            "nothing, if trust_request_ids=False is meant; else set it to true",
        )
    return passed(name, "a safe ID is kept")


def _replaced(visit: Visit) -> Finding:
    name, header = "unsafe request ID", visit.options.request_id_header
    found = visit.get(headers={header: _UNSAFE}).header(header)
    if not found:
        return skipped(name, f"no {header} on answers")
    if "<" in found or found == _UNSAFE:
        cure = "another layer sends the ID back as it came: remove it, or put ours outside of it"
        return failed(name, f"{_UNSAFE} comes back", cure)
    return passed(name, "an ID with markup is replaced")
