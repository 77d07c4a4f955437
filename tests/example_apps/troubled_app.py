"""A service to which everything happens that the dashboards have a panel for, and the four services do not do.

It has websockets, an exporter whose gateway is not there, a metric with more label sets than it may have, and a hook
that raises at each collection.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer
from obs_middleware.export import Pushgateway

observer = Observer(service_name="troubled")
observer.exporters.add(Pushgateway("http://127.0.0.1:1", interval_seconds=1))
visits = observer.metrics.counter("visits", "Messages, by who has sent them.", ["who"], max_series=2)


@observer.metrics.on_collect
def fail() -> None:
    raise LookupError("nothing to collect")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        visits.labels(text).inc()
        await socket.send_text(text)


app = Starlette(routes=[WebSocketRoute("/echo", echo)])
app.add_middleware(ObservabilityMiddleware, observer=observer)
