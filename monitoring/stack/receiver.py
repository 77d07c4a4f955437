"""Receives Alertmanager's notifications, prints a line for each alert, and serves the runbooks that alerts link to.

    python receiver.py [--host 127.0.0.1] [--port 9099] [--runbooks docs/runbooks]

POST /alerts/RECEIVER takes a notification; GET /alerts gives all that came, as JSON. The standard library is enough.
"""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEPT = 1000


class Receiver(ThreadingHTTPServer):
    """The server, with the last notifications: what Alertmanager has sent, and to which receiver.

    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, runbooks: Path) -> None:
        super().__init__((host, port), _Handler)
        self.runbooks = runbooks
        self._notifications: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def take(self, receiver: str, notification: dict[str, Any]) -> None:
        with self._lock:
            self._notifications = [*self._notifications, notification | {"receiver": receiver}][-KEPT:]
        for alert in notification["alerts"]:
            labels, text = alert["labels"], alert.get("annotations", {})
            print(
                f"{receiver:>14}  {alert['status']:8}  {labels.get('severity', ''):8}  {labels['alertname']}: "
                f"{text.get('summary', '')}  {text.get('runbook_url', '')}",
                flush=True,
            )

    def notifications(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._notifications)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        _, _, receiver = self.path.rpartition("/alerts/")
        try:
            notification = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self._receiver.take(receiver, notification)
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, f"no notification of Alertmanager: {error!r}\n")
            return
        self._answer(200, "")

    def do_GET(self) -> None:
        if self.path == "/-/ready":
            self._answer(200, "ready\n")
        elif self.path == "/alerts":
            self._answer(200, json.dumps(self._receiver.notifications()), "application/json")
        else:
            self._answer_runbook()

    def _answer_runbook(self) -> None:
        pages = {f"/runbooks/{page.name}": page for page in self._receiver.runbooks.glob("*.md")}
        page = pages.get(self.path)
        if page is None:
            self._answer(404, "There are /alerts and:\n" + "\n".join(sorted(pages)) + "\n")
        else:
            self._answer(200, page.read_text(encoding="utf-8"))

    def _answer(self, status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def _receiver(self) -> Receiver:
        assert isinstance(self.server, Receiver)
        return self.server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing of requests: what is worth reading are the alerts."""


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="Print Alertmanager's notifications and serve the runbooks.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9099)
    parser.add_argument(
        "--runbooks", type=Path, default=Path("docs/runbooks"), help="the folder (default: %(default)s)"
    )
    options = parser.parse_args()
    with Receiver(options.host, options.port, options.runbooks) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
