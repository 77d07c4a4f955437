"""What the app has declared in one registry, and what comes first when it is collected: hooks and `target_info`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from socket import gethostname
from threading import local
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from obs_middleware.encodable import encodable
from obs_middleware.errors import AppFailure, Report
from obs_middleware.fork_lock import ForkLock
from obs_middleware.metrics.own_counter import OwnCounter

if TYPE_CHECKING:
    from obs_middleware.settings import Settings

Hook = Callable[[], object]

declaring = ForkLock()


class AppMetrics(Collector):
    """What all Observers of one registry share. The registry owns it, so that both are gone together.

    Args:
        report: is told of a hook that has raised.
        target: returns the labels of `target_info`; without any, or where the user has set one, ours is not there.
    """

    def __init__(
        self, registry: CollectorRegistry, report: Report, target: Callable[[], Mapping[str, str]]
    ) -> None:
        self._registry = weakref.ref(registry)
        self._report = report
        self._target = target
        self.declared: dict[str, tuple[Any, Any]] = {}
        self._counters: dict[str, OwnCounter] = {}
        self._hooks: dict[object, tuple[Hook, str]] = {}
        self.around_hooks: Callable[[], AbstractContextManager[object]] = nullcontext
        self._here = local()

    @classmethod
    def of(
        cls, registry: CollectorRegistry, report: Report, target: Callable[[], Mapping[str, str]]
    ) -> AppMetrics:
        """Return that of a registry, made at the first call."""
        with declaring:
            made = _made[registry]() if registry in _made else None
            if made is None:
                made = cls(registry, report, target)
                registry.register(made)
                _made[registry] = weakref.ref(made)
            return made

    def before(self, key: object, hook: Hook | None, what: str = "") -> None:
        """Have a function called before each collection, or none, in place of an earlier one with the same key.

        Args:
            what: names it in the log, where it fails.
        """
        if hook is None:
            self._hooks.pop(key, None)
        else:
            self._hooks[key] = hook, what

    def own_counter(self, name: str, documentation: str, label: str) -> OwnCounter:
        """Return a counter of ours, which joins the registry at the first call."""
        counter = self._counters.get(name)
        if counter is None:
            with declaring:
                counter = self._counters.get(name)
                if counter is None:
                    # Kept though the app has taken its name, so that this is reported once.
                    counter = self._counters[name] = OwnCounter(name, documentation, label)
                    registry = self._registry()
                    if registry is not None:
                        registry.register(counter)
        return counter

    def collect(self) -> Iterator[Metric]:
        """Run the hooks, then yield `target_info`."""
        if self._hooks:
            self._run_hooks()
        registry = self._registry()
        target = self._target()
        if target and registry is not None and not registry.get_target_info():
            yield InfoMetricFamily("target", "Whose metrics these are.", value=dict(target))

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: a name that we keep could not be set by the user any more."""
        yield from ()

    def _run_hooks(self) -> None:
        if getattr(self._here, "is_running", False):  # a hook that collects
            return
        self._here.is_running = True
        try:
            with self.around_hooks():
                for hook, what in list(self._hooks.values()):
                    self._run(hook, what)
        except Exception as error:
            self._report("collection", error)
        finally:
            self._here.is_running = False

    def _run(self, hook: Hook, what: str) -> None:
        try:
            hook()
        except (Exception, SystemExit) as error:
            failure = AppFailure(
                f"{what} has raised {type(error).__name__}: {error}; the page is made without it"
            )
            failure.__cause__ = error
            self._report("collection", failure)


_made: weakref.WeakKeyDictionary[CollectorRegistry, weakref.ref[AppMetrics]] = weakref.WeakKeyDictionary()


def default_labels(settings: Settings, environment: str | None) -> dict[str, str]:
    """Return the labels that tell whose metrics these are; what is not known is not there."""
    labels = {
        "service": settings.service_name,
        "version": settings.service_version,
        "environment": environment,
        "instance": gethostname(),
    }
    return {name: encodable(value) for name, value in labels.items() if value}


def snapshot_of(found: Iterable[Metric]) -> dict[str, dict[str, Any]]:
    """Return families as plain values: by name the type, unit, documentation and samples of each."""
    return {
        family.name: {
            "type": family.type,
            "unit": family.unit,
            "documentation": family.documentation,
            "samples": [
                {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}
                for sample in family.samples
            ],
        }
        for family in found
    }
