"""Panels of websockets: how many are open, how they ended, what goes over them."""

from __future__ import annotations

from monitoring.dashboards.dashboard import Row, row
from monitoring.dashboards.frame import Query
from monitoring.dashboards.panels import time_series
from monitoring.dashboards.promql import Scope


def row_of(scope: Scope) -> Row:
    return row(
        "Websockets",
        time_series(
            "Open websockets",
            "Websockets that are open, by route. There is nothing where no service has any.",
            Query(
                scope.total("http_server_websocket_active_connections", by="job, http_route"),
                "{{http_route}}",
            ),
            unit="short",
            width=8,
        ),
        time_series(
            "Websockets that ended, by close code",
            "1000 and 1001 are ordinary ends; 1006 is a connection that was lost, 1011 an error of the server.",
            Query(
                scope.rate("http_server_websocket_connections_total", by="websocket_close_code"),
                "{{websocket_close_code}}",
            ),
            unit="ops",
            stacked=True,
            width=8,
        ),
        time_series(
            "Websocket messages",
            "Messages per second, by direction as the server sees it.",
            Query(
                scope.rate("http_server_websocket_messages_total", by="network_io_direction"),
                "{{network_io_direction}}",
            ),
            unit="ops",
            width=8,
        ),
    )
