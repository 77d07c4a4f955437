"""The metrics of tokpulse's API by store. Whose request it is, only the view knows: `request.state.store_id`."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from example_apps.tokpulse import telemetry


class ApiMetrics:
    """Count and time each request by route, method, status code and store."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        code, started = (
            500,
            time.perf_counter(),
        )  # what the client gets of an app that raises before it answers

        async def noting_code(message: Message) -> None:
            nonlocal code
            code = message.get("status", code)
            await send(message)

        try:
            with telemetry.API_ACTIVE.track_inprogress():
                await self.app(scope, receive, noting_code)
        finally:
            route = getattr(scope.get("route"), "path", "other")  # a path that nobody has is not a series
            method, store_id = scope["method"], scope.get("state", {}).get("store_id", "none")
            telemetry.API_REQUESTS.labels(route, method, code, store_id).inc()
            telemetry.API_DURATION.labels(route, method, store_id).observe(time.perf_counter() - started)
