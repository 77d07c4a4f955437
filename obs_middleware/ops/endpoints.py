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
        access: who may ask; None: everybody, without details.
        thread_name: of the threads in which it is answered under an event loop; empty where it takes no time.
        takes_time: tells whether the answer of now takes time; it always does unless given.
        methods: by which it is asked; HEAD goes with GET.
    """

    path: str | None
    answer: Callable[[RequestInfo, bool], Reply]
    access: AccessRule | None = None
    thread_name: str = ""
    takes_time: Callable[[], bool] | None = None
    methods: tuple[str, ...] = ("GET", "HEAD")


class Endpoints:
    """Answer the paths that are ours.

    Args:
        endpoints: those of fixed paths.
        aliases: the same at paths that an app's own pages may take (`yield_to`).
        prefix: what the paths of further endpoints begin with; None where there are none.
        below: returns the endpoint of such a path; None where it is the app's.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        *,
        aliases: Iterable[Endpoint] = (),
        prefix: str | None = None,
        below: Callable[[str], Endpoint | None] = lambda path: None,
    ) -> None:
        endpoints, aliases = tuple(endpoints), tuple(aliases)
        self._by_path = {one.path: one for one in (*aliases, *endpoints) if one.path is not None}
        self._aliases = frozenset(one.path for one in aliases if one.path is not None)
        self.paths = frozenset(self._by_path)
        self.prefix = prefix
        self._below = below
        self._threads: dict[str, Executor] = {}

    def yield_to(self, has_page: Callable[[str], bool]) -> None:
        """Leave to the app the aliases at which it has a page."""
        self.paths -= {path for path in self._aliases & self.paths if has_page(path)}

    def has_page(self, path: str) -> bool:
        """Tell whether a path is ours."""
        return path in self.paths or (
            self.prefix is not None and path.startswith(f"{self.prefix}/") and self._below(path) is not None
        )

    def threads(self, path: str) -> Executor | None:
        """Return the threads to answer a path in under an event loop; None where the answer takes no time.

        They are our own, so that neither an app that fills the default ones nor a slow collector keeps a probe waiting.
        """
        endpoint = self._endpoint(path)
        name = endpoint.thread_name
        if not name or (endpoint.takes_time is not None and not endpoint.takes_time()):
            return None
        return self._threads.get(name) or self._threads.setdefault(name, new_threads(name, _THREADS))

    def reply(self, info: RequestInfo, path: str) -> Reply:
        """Answer one of `paths`."""
        endpoint = self._endpoint(path)
        if info.method not in endpoint.methods:
            allowed = ", ".join(endpoint.methods)
            return Reply(405, {**TEXT_HEADERS, "Allow": allowed}, b"Method Not Allowed\n")
        if endpoint.access is None:
            return endpoint.answer(info, False)
        refusal = endpoint.access.refusal(info, path)
        if refusal is not None and endpoint.access.is_required:
            return refusal
        return endpoint.answer(info, refusal is None)

    def _endpoint(self, path: str) -> Endpoint:
        return self._by_path.get(path) or self._below(path) or _NONE


_NONE = Endpoint(None, lambda info, _: Reply(404, TEXT_HEADERS, b"Not Found\n"))  # it was there a moment ago


def new_threads(name: str, count: int) -> Executor:
    """Return threads of a name, as many at most."""
    from obs_middleware.ops.threads import Threads  # nobody needs them under WSGI

    return Threads(count, name)
