"""A websocket under WSGI: the app takes the connection over, and what passes there is nobody else's.

PEP 3333 has no websockets. Apps find the connection in what a server leaves in the environ, and do not say so. They
return without having started a response, or raise `StopIteration`. Not a byte of ours may be sent once they have begun.
So ours are added to a refusal alone, because it is sent before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from traceback import walk_tb
from typing import Any

from obs_middleware.gateway import own_status, status_number
from obs_wsgi.response import Response
from obs_wsgi.wrapped_app import Environ

_SWITCHING, _NO_CONTENT, _REFUSALS = 101, 204, range(300, 500)
_SUCCESSES = range(200, 300)
# Libraries that open a websocket and then call the app's handler, so that a handler's exception comes later than that.
_LIBRARIES = (
    "engineio",
    "eventlet.websocket",
    "flask_sock",
    "flask_sockets",
    "geventwebsocket",
    "simple_websocket",
)


def is_handshake(environ: Environ) -> bool:
    """Tell whether a request asks for a websocket (RFC 6455, section 4.1)."""
    try:
        return (
            environ["HTTP_UPGRADE"].strip().lower() == "websocket"
            and "upgrade" in environ["HTTP_CONNECTION"].lower()
            and "HTTP_SEC_WEBSOCKET_KEY" in environ
            and environ["REQUEST_METHOD"] == "GET"
        )
    except Exception:
        return False


class WebsocketResponse(Response):
    """The response of a request that asks for a websocket."""

    __slots__ = ("has_started",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.has_started = False

    def start(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Add our headers to a refusal and to nothing else."""
        code, self.has_started = status_number(status), True
        if code in _REFUSALS:
            return super().start(status, headers, exc_info)
        self.note_route(is_forgotten=True)
        if exc_info is None:
            self.server_write = self.server_start(status, headers)
        else:
            self._start_anew(status, [*headers], exc_info, code)
        self.exchange.status = code
        return self.write

    def fail(self, error: BaseException) -> None:
        """End the exchange with what the app has raised; some libraries say so that the websocket has ended."""
        exchange = self.exchange
        self.note_route(is_forgotten=True)
        is_end = own_status(error) == 0 or (type(error) is ConnectionError and not error.args)
        if is_end and not self.has_started:
            self.end()
            return
        exchange.note_raised(error)
        if isinstance(error, OSError):
            exchange.is_client_gone = True
        if not exchange.is_cancelled:
            exchange.status = _SWITCHING if self._was_open(error) else self._answer(error)
        exchange.finish(is_complete=False)

    def _answer(self, error: BaseException) -> int | None:
        return 500  # the server's; never ours, because the connection may be the app's already

    def end(self) -> None:
        """End the exchange: a websocket was open, unless the app has answered as it does any request."""
        exchange = self.exchange
        self.note_route(is_forgotten=True)
        is_answered = exchange.status is not None and (
            exchange.status not in _SUCCESSES or exchange.response_bytes > 0
        )
        if not is_answered:  # such as Werkzeug's server, which wants a response when the websocket has ended
            exchange.status = _SWITCHING
        if exchange.error is not None and self._was_open(exchange.error):
            exchange.status = _SWITCHING
            exchange.finish(is_complete=False)
        exchange.finish()

    def closed(self) -> None:
        """End the exchange because its response was closed."""
        if self.exchange.outcome is None:
            self.end()

    def _was_open(self, error: BaseException) -> bool:
        """Tell whether an exception has come out of the handler of a websocket that was open."""
        if "wsgi.websocket" in self.environ:  # gevent-websocket opens it before it calls the app
            return True
        modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
        return any(module.startswith(_LIBRARIES) for module in modules)
