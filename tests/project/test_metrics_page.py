"""The code of docs/metrics.md does what the page says: each block in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import installed
from tests.core.export.receiving import Receiver, receiver
from tests.core.support import eventually, python

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SHOW = "\nfrom prometheus_client import generate_latest\nprint(generate_latest().decode())"


def block(*words: str) -> str:
    """Return the one block of code that has these words."""
    (found,) = [code for code in BLOCKS if all(word in code for word in words)]
    return found


def printed() -> list[str]:
    """Return what the page says that blocks print."""
    return re.findall(r"^It prints:\n\n```\w+\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in tuple(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with receiver() as found:
        yield found


def placed(code: str, server: Receiver, folder: Path) -> str:
    """Return code whose files and servers are there."""
    for name in ("http://pushgateway:9091", "http://collector:4318"):
        code = code.replace(name, server.url)
    return code.replace("/var/lib/node_exporter", str(folder)).replace("/run/shop", str(folder))


def test_fastapi_shows_metrics_of_its_own() -> None:
    code = """
from starlette.testclient import TestClient
with TestClient(app) as client:
    client.post("/orders/free")
    print(client.get("/metrics").text)
"""
    text = python(block("FastAPI()") + code, env={"OBS_LOG_SETUP": "false", "PYTHONWARNINGS": "ignore"})
    assert 'shop_orders_total{plan="free"} 1.0' in text
    assert 'shop_charge_seconds_count{outcome="ok"} 1.0' in text
    assert 'telemetry_events_total{event="order_placed"} 1.0' in text
    assert 'http_route="/orders/{plan}"' in text


def test_flask_shows_metrics_that_were_declared_before_there_was_an_app() -> None:
    code = """
app = create_app()
client = app.test_client()
client.post("/orders/free")
print(client.get("/metrics").text)
assert app.extensions["obs"].metrics is observer.metrics
"""
    text = python(block("Flask(__name__)") + code, env={"OBS_LOG_SETUP": "false"})
    assert 'orders_total{plan="free"} 1.0' in text


def test_django_shows_metrics_that_a_module_of_views_declares(tmp_path: Path) -> None:
    (tmp_path / "views.py").write_text(block("JsonResponse"))
    (tmp_path / "urls.py").write_text(
        "from django.urls import path\nimport views\nurlpatterns = [path('orders/<plan>', views.order)]\n"
    )
    code = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["obs_django"], ALLOWED_HOSTS=["*"], SECRET_KEY="x", ROOT_URLCONF="urls",
    OBS_LOG_SETUP=False, OBS_SERVICE_NAME="shop", OBS_METRICS_PREFIX="shop")
django.setup()
from django.test import Client
client = Client()
client.post("/orders/free")
print(client.get("/metrics").content.decode())
import obs_django
assert obs_django.events is obs_django.get_observer().events
assert obs_django.exporters is obs_django.get_observer().exporters
assert not hasattr(obs_django, "metric")
"""
    text = python(code, path=(tmp_path,))
    assert 'shop_orders_total{plan="free"} 1.0' in text
    assert 'target_info{environment="production"' in text


def test_what_is_declared_does_what_the_page_says() -> None:
    code = block("queue_depth") + SHOW
    first, _, text = python(code, env={"OBS_LOG_SETUP": "false"}).partition("\n")
    assert first.replace("'", '"') == printed()[0].strip()
    assert 'bank_requests_total{bank="other"} 1.0' in text
    assert 'upload_bytes_bucket{le="1e+06"} 1.0' in text or 'upload_bytes_bucket{le="1000000.0"} 1.0' in text
    assert 'shops{state="open"} 3.0' in text


def test_what_is_timed_is_timed() -> None:
    code = (
        block("yield from range(3)")
        + "\nfrom prometheus_client import generate_latest\nprint(generate_latest().decode())"
    )
    text = python(code)
    assert 'charge_seconds_count{bank="acme",outcome="ok"} 1.0' in text
    assert 'export_seconds_count{outcome="ok"} 1.0' in text
    assert 'import_seconds_count{outcome="ok"} 1.0' in text


def test_an_event_is_kept_without_its_secrets() -> None:
    assert python(block("events.recent()"), env={"OBS_LOG_SETUP": "false"}) == printed()[1]


def test_exporters_bring_the_metrics_there(server: Receiver, tmp_path: Path) -> None:
    code = placed(block("OtlpMetrics"), server, tmp_path)
    python(f"{code}\nassert observer.exporters.push()")
    assert sorted(os.listdir(tmp_path)) == ["metrics.json", "shop.prom"]
    assert set(json.loads((tmp_path / "metrics.json").read_text())) == {
        "timestamp",
        "metrics",
        "events_count",
        "running",
    }
    assert {request.path for request in server.requests} == {
        "/metrics/job/shop/instance/web-1",
        "/v1/metrics",
    }


def test_a_batch_job_pushes_at_its_end(server: Receiver, tmp_path: Path) -> None:
    python(placed(block('exporters.job("nightly")'), server, tmp_path))
    (request,) = server.requests
    assert request.path == "/metrics/job/nightly"
    assert b"rows_total 1000.0" in request.body
    assert b'obs_job_last_success_timestamp_seconds{job_name="nightly"}' in request.body


def test_a_worker_of_a_queue_runs_the_jobs_that_requests_have_made(tmp_path: Path) -> None:
    code = block("continue_trace") + "\nworker([add_job('order-7')])"
    text = python(code, env={"OBS_METRICS_DIRECTORY": str(tmp_path)})
    assert text.splitlines()[-1] == "order-7"


@pytest.mark.parametrize(
    "pool",
    [
        "prefork",
        *(pytest.param(pool, marks=pytest.mark.once) for pool in ("threads", "solo")),
        pytest.param(
            "gevent",
            marks=pytest.mark.skipif(
                find_spec("gevent") is None, reason="no gevent here; the lane `monitoring` has it"
            ),
        ),
    ],
)
def test_a_worker_of_celery_pushes_what_its_tasks_have_measured(
    pool: str, server: Receiver, tmp_path: Path
) -> None:
    """A real worker, with two child processes or none: it takes some seconds to start and to stop."""
    code = placed(block("worker_process_init"), server, tmp_path)
    folders = "".join(f"'{name}_folder': '{tmp_path}', " for name in ("data_folder_in", "data_folder_out"))
    folders = folders.replace("_in_folder", "_in").replace("_out_folder", "_out")
    code += f"\napp.conf.update(broker_url='filesystem://', broker_transport_options={{{folders}}})\n"
    (tmp_path / "metrics").mkdir()
    (tmp_path / "page.py").write_text(code)
    env = installed.clean() | {
        "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, PAGE.parents[1], PAGE.parents[1] / "adapters"))),
        "NO_PROXY": "*",
        "OBS_METRICS_DIRECTORY": str(tmp_path / "metrics"),
    }
    command = [sys.executable, "-m", "celery", "-A", "page", "worker", f"--pool={pool}", "--concurrency=2"]
    worker = subprocess.Popen(
        [*command, "--loglevel=warning", "--without-mingle", "--without-gossip"],
        env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    with worker:
        try:
            eventually(lambda: server.requests, within_seconds=60)
            calls = "import page\nfor _ in range(6): page.report.delay()"
            subprocess.run(
                [sys.executable, "-c", calls], env=env, cwd=tmp_path, check=True, capture_output=True
            )
            eventually(lambda: not [*tmp_path.glob("*.msg")], within_seconds=60)  # the worker has taken it
            worker.send_signal(signal.SIGTERM)
            _, errors = worker.communicate(timeout=60)
        finally:
            worker.kill()
    assert b'report_seconds_count{outcome="ok"} 6.0' in server.requests[-1].body, errors.decode()
