"""What an app calls, measured by OpenTelemetry's instrumentations, on the same page: as docs/http-metrics.md says."""

from __future__ import annotations

import re

import pytest

from tests.core.support import python
from tests.http_servers import SilentHandler, serving
from tests.installed import ROOT

_CALLS = """
import httpx, os
from obs_middleware import RequestInfo
for _ in range(3):
    httpx.get(os.environ["CALLED"])
observer.gateway.started()
print(observer.gateway.reply(RequestInfo("GET", "/metrics", "", "http", {}.get), "/metrics").body.decode())
"""


class _Handler(SilentHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()


@pytest.mark.once
def test_calls_of_the_app_are_on_the_page_as_the_page_of_docs_says() -> None:
    """It takes a second, because a fresh interpreter imports the SDK and an instrumentation."""
    page = (ROOT / "docs" / "http-metrics.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import os\n.*?PrometheusMetricReader.*?)```", page, re.DOTALL)
    with serving(_Handler) as port:
        shown = python(f"{example}\n{_CALLS}", env={"CALLED": f"http://127.0.0.1:{port}/"})
    counted = [
        line for line in shown.splitlines() if line.startswith("http_client_request_duration_seconds_count")
    ]
    assert [line.rpartition(" ")[2] for line in counted] == ["3.0"]
    assert 'http_response_status_code="204"' in counted[0]
    assert shown.count("# TYPE target_info") == 1
