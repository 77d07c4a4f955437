"""Path to Reply: health and metrics hand in their Endpoints as values; who is answered, and in which thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from obs_middleware.ops.access import AccessRule
from obs_middleware.reply import TEXT_HEADERS, Reply
from obs_middleware.request import RequestInfo

if TYPE_CHECKING:
    from concurrent.futures import Executor

_THREADS = 4  # for one endpoint


class Endpoint(msgspec.Struct, frozen=True):
    """A path of ours.

    Attributes:
        path: below the app's root; None where the user wants no such page.
        answer: makes the reply; its second argument tells whether the caller is authorised.
        access: who may ask.
        methods: by which it is asked; HEAD goes with GET.
        thread_name: of the threads in which it is answered under an event loop; empty where it takes no time.
    """

    path: str | None
    answer: Callable[[RequestInfo, bool], Reply]
    access: AccessRule = AccessRule()
    thread_name: str = ""
    methods: tuple[str, ...] = ("GET", "HEAD")


class Endpoints:
    """Answer the paths that are ours."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._by_path = {endpoint.path: endpoint for endpoint in endpoints if endpoint.path is not None}
        self.paths = frozenset(self._by_path)
        self._threads: dict[str, Executor] = {}

    def threads(self, path: str) -> Executor | None:
        """Return the threads to answer a path in under an event loop; None where the answer takes no time.

        They are our own, so that neither an app that fills the default ones nor a slow collector keeps a probe waiting.
        """
        name = self._by_path[path].thread_name
        if not name or path in self._threads:
            return self._threads.get(path)
        return self._threads.setdefault(path, new_threads(name, _THREADS))

    def reply(self, info: RequestInfo, path: str) -> Reply:
        """Answer one of `paths`."""
        endpoint = self._by_path[path]
        if info.method not in endpoint.methods:
            allowed = ", ".join(endpoint.methods)
            return Reply(405, {**TEXT_HEADERS, "Allow": allowed}, b"Method Not Allowed\n")
        is_authorised = endpoint.access.authorises(info)
        if endpoint.access.is_required and not is_authorised:
            return Reply(401, {**TEXT_HEADERS, "WWW-Authenticate": "Bearer"}, b"Unauthorized\n")
        return endpoint.answer(info, is_authorised)


def new_threads(name: str, count: int) -> Executor:
    """Return threads of a name, as many at most."""
    from obs_middleware.ops.threads import Threads  # nobody needs them under WSGI

    return Threads(count, name)
