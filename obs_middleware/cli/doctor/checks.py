"""Which checks there are, and in which order they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from obs_middleware.cli.doctor import (
    access,
    internals,
    metrics_page,
    planted_secret,
    probes,
    propagation,
    request_ids,
    series,
)
from obs_middleware.cli.doctor.finding import Finding, failed
from obs_middleware.cli.doctor.service import NoAnswer
from obs_middleware.cli.doctor.session import Session

Check = Callable[[Session], Iterator[Finding]]

# The metrics page is first, because others compare with it; what is read of all answers is last.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("metrics page", metrics_page.check),
    ("request IDs", request_ids.check),
    ("propagation", propagation.check),
    ("probes", probes.check),
    ("access", access.check),
    ("series", series.check),
    ("planted secret", planted_secret.check),
    ("counts", metrics_page.check_counts),
    ("internals", internals.check),
)


def run_checks(
    session: Session, *, on_progress: Callable[[int, str], object] = lambda number, name: None
) -> list[Finding]:
    """Run all checks; where nobody listens, that is the one finding.

    Args:
        on_progress: is called with the number and the name of the check that begins.
    """
    unreachable = _connection(session)
    if unreachable is not None:
        return [unreachable]
    findings = list[Finding]()
    for number, (name, check) in enumerate(CHECKS, 1):
        on_progress(number, name)
        try:
            findings += check(session)
        except NoAnswer as error:
            findings.append(
                failed(name, str(error), "the app has answered before: look at its log, or give --timeout")
            )
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
        ) as error:  # an answer of another shape
            why = f"an answer is not as ours are: {type(error).__name__}: {error}"
            findings.append(failed(name, why, "is it this library that answers there? --ops, --metrics-path"))
    return findings


def _connection(session: Session) -> Finding | None:
    for service in dict.fromkeys((session.service, session.ops)):
        try:
            service.get(session.options.live_path)
        except NoAnswer as error:
            return _no_answer(str(service.address), error)
    return None


def _no_answer(address: str, error: NoAnswer) -> Finding:
    if isinstance(error.__cause__, ConnectionRefusedError):
        cure = "start the app there, or give its address: doctor :8000, doctor http://127.0.0.1:8000/prefix"
        return failed("connection", f"nothing listens at {address}", cure)
    return failed(
        "connection", f"{address}: {error}", "is the address right, and is it HTTP? --timeout waits longer"
    )
