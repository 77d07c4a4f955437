"""Pages that the app has at paths of ours: ours are answered in their place, and a warning at the start says so."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obs_middleware.errors import Failures

HasRoute = Callable[[str], bool]

_MULTIPROCESS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")  # prometheus-client reads both
_logger = logging.getLogger("obs")


class AppPages:
    """Warn of an app's own pages that nobody reaches any more.

    Args:
        own_paths: the paths that we answer, each with the name of its setting.
        is_own_registry: the user has handed in a registry, whose page may be of all processes.
        failures: is told where an app's routes can't be read.
    """

    def __init__(self, own_paths: Mapping[str, str], *, is_own_registry: bool, failures: Failures) -> None:
        self._own_paths = own_paths
        self._is_own_registry = is_own_registry
        self._failures = failures
        self._unread: list[HasRoute] = []
        self._has_warned = False  # of many processes

    def add(self, has_route: HasRoute) -> None:
        """Note how to ask an app whether it has a route for a path; `warn` asks when its routes are complete."""
        self._unread.append(has_route)

    def warn(self, give_way: Callable[[HasRoute], object] = bool) -> None:
        """Warn of the pages of the apps that were added since the last call.

        Args:
            give_way: is called with what tells whether one of them has a page for a path, which then stays the app's.
        """
        if self._unread:
            unread, self._unread = self._unread, []
            give_way(lambda path: self._has_any(unread, path))
            for complaint in (self._of_routes(unread), self._of_processes()):
                if complaint:
                    _logger.warning("obs-middleware: %s", complaint)

    def _of_routes(self, unread: list[HasRoute]) -> str:
        paths = [path for path in self._own_paths if self._has_any(unread, path)]
        if not paths:
            return ""
        names = [self._own_paths[path] for path in paths]
        return (
            f"the app has a route of its own for {_listed(paths)}, and ours is answered in its place. "
            f"The setting {_listed(names)} names another path for ours; None switches it off "
            f"(in the environment: {' '.join(f'OBS_{name.upper()}=' for name in names)})"
        )

    def _has_any(self, unread: list[HasRoute], path: str) -> bool:
        guard = self._failures.guard
        return any(guard("routes", has_route, one) for has_route in unread for one in (path, f"{path}/"))

    def _of_processes(self) -> str:
        path = next((path for path, name in self._own_paths.items() if name == "metrics_path"), None)
        variable = next(filter(os.environ.get, _MULTIPROCESS), None)
        if path is None or variable is None or self._is_own_registry or self._has_warned:
            return ""
        self._has_warned = True
        return (
            f"{variable} is set, but {path} shows the metrics of the process that answers. "
            f"Hand in a registry that has a MultiProcessCollector, for your own metrics; ours stay those of one. "
            f"Or leave the page to another exporter: the setting metrics_path is None then "
            f"(in the environment: OBS_METRICS_PATH=)"
        )


def is_caught_by_all(path: str, captured: Iterable[object]) -> bool:
    """Tell whether a route has matched a path by a parameter for any path, as the routes of single-page apps do.

    Args:
        captured: the values of the route's parameters.
    """
    first = path.split("/")[1]
    return any(str(value).lstrip("/").partition("/")[0] == first for value in captured)


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
