"""What a registry holds as text, block by block: our own collectors, metrics that we know, everything else.

A collector that raises costs the families that it has not yielded yet, and not the page.

Everything else (custom collectors, subclasses, other registries, names that need quotes, values of many processes) goes
through prometheus-client's own encoder: slow, and never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, values
from prometheus_client.metrics_core import Metric

from obs_middleware.errors import Report
from obs_middleware.metrics.collection import AppMetrics
from obs_middleware.metrics.exposition import client_classes
from obs_middleware.metrics.exposition.foreign import families_of
from obs_middleware.metrics.exposition.formats import EOF, Format

if TYPE_CHECKING:
    from obs_middleware.metrics.exposition.protobuf import Names

_IN_FILES = (Counter, Gauge, Histogram, Summary)  # where there are many processes


class TextCollector(Protocol):
    """A collector of ours, which writes its own text."""

    def collect(self) -> Iterable[Metric]:
        """Yield the families, for whoever asks but us."""
        ...

    def blocks(self, is_openmetrics: bool) -> Iterator[str]:
        """Yield the text of all families at most some kilobytes at a time; the page pauses between them."""
        ...


def blocks(registry: Any, page_format: Format, report: Report | None = None) -> Iterator[str]:
    """Yield the page.

    Args:
        report: is told of a collector that has raised; without it, the exception is raised.
    """
    collectors = collectors_of(registry)
    if collectors is None:
        yield from _foreign(registry, page_format)
    else:
        for collector in collectors:
            try:
                yield from _blocks(collector, page_format)
            except (Exception, SystemExit) as error:
                if report is None:
                    raise
                report("collector", failure(error))
    if page_format.is_openmetrics:
        yield EOF


def messages(registry: Any, names: Names, report: Report | None = None) -> Iterator[bytes]:
    """Yield the page as messages of protobuf.

    Args:
        report: as for `blocks`.
    """
    for collector in collectors_of(registry) or [registry]:
        try:
            yield from _messages(collector, names)
        except (Exception, SystemExit) as error:
            if report is None:
                raise
            report("collector", failure(error))


def families(registry: Any, report: Report | None = None) -> Iterator[Metric]:
    """Yield the same as prometheus-client's families.

    Args:
        report: as for `blocks`.
    """
    collectors = collectors_of(registry)
    if collectors is None:
        yield from families_of(registry)
        return
    for collector in collectors:
        try:
            yield from families_of(collector)
        except (Exception, SystemExit) as error:
            if report is None:
                raise
            report("collector", failure(error))


def failure(error: Exception | SystemExit) -> Exception:
    """Return what is reported of a collector that has raised; no server ends because a page was asked for."""
    return error if isinstance(error, Exception) else RuntimeError(f"a collector has left by {error!r}")


def collectors_of(registry: Any) -> list[Any] | None:
    """Return the collectors of a registry in its order; None when it has to be asked itself."""
    kind = type(registry)
    if getattr(kind, "collect", None) is not CollectorRegistry.collect or "collect" in vars(registry):
        return None
    try:
        with registry._lock:
            collectors: list[Any] = [*registry._collector_to_names]
        target = registry.get_target_info()
    except Exception:  # another release
        return None
    collectors = sorted(_each_once(collectors), key=_is_not_first)
    return [CollectorRegistry(target_info=target), *collectors] if target else collectors


def _each_once(collectors: list[Any]) -> list[Any]:
    """Leave out what prometheus-client's MultiProcessCollector shows of all processes."""
    has_files = values.ValueClass is not values.MutexValue and any(map(_is_multi_process, collectors))
    return [one for one in collectors if not isinstance(one, _IN_FILES)] if has_files else collectors


def _is_not_first(collector: Any) -> bool:
    """Tell whether a collector comes in its turn, and not before those whose numbers its hooks refresh."""
    return not isinstance(collector, AppMetrics)


def _is_multi_process(collector: Any) -> bool:
    return any(kind.__name__ == "MultiProcessCollector" for kind in type(collector).__mro__)


def _blocks(collector: Any, page_format: Format) -> Iterator[str]:
    if page_format.has_bare_names and _is_ours(collector):
        return iter(collector.blocks(page_format.is_openmetrics))
    return client_classes.blocks(collector, page_format) or _foreign(collector, page_format)


def _is_ours(collector: Any) -> bool:
    return type(collector).__module__.partition(".")[0] == "obs_middleware" and hasattr(collector, "blocks")


def _foreign(collector: Any, page_format: Format) -> Iterator[str]:
    for family in families_of(collector):
        yield from page_format.parts(family)


def _messages(collector: Any, names: Names) -> Iterator[bytes]:
    from obs_middleware.metrics.exposition.protobuf import messages

    if hasattr(collector, "messages") and _is_ours(collector):
        yield from collector.messages(names)
    else:
        for family in families_of(collector):
            yield from messages(family, names)
