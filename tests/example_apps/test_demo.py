"""The demo as a person runs it: `python -m example_apps.demo`."""

import io
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from example_apps.demo import processes, services
from example_apps.demo.errors import DemoError
from example_apps.demo.pages import Route
from example_apps.demo.paper import Claim, Paper
from tests.core.support import eventually

ROOT = Path(__file__).parents[2]


def _heed_interrupts() -> None:
    """Undo what shells do to what they run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def demo(
    *arguments: str, temporary: Path, python_path: str = "", module: str = "example_apps.demo"
) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with its output in a pipe; end it in the end."""
    inherited = os.environ.get("PYTHONPATH", "")
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join(filter(None, [python_path, inherited])),
        "PYTHONIOENCODING": "utf-8",
    }
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=_heed_interrupts,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout
    read = ""
    for line in process.stdout:
        read += line
        if text in line:
            break
    return read


def assert_nothing_is_left(port_base: int, temporary: Path) -> None:
    def serves(port: int) -> bool:
        with socket.socket() as client:
            return not client.connect_ex((services.HOST, port))

    # A worker that was killed may take a moment to end.
    eventually(lambda: not any(map(serves, services.ports(port_base).values())))
    assert list(temporary.iterdir()) == []


def test_the_demo_shows_that_all_it_claims_holds_and_leaves_nothing(port_base: int, tmp_path: Path) -> None:
    patient = "tests.example_apps.patient_demo"
    with demo("--once", "--port-base", str(port_base), temporary=tmp_path, module=patient) as process:
        printed, errors = process.communicate(timeout=250)  # 25 s where nothing else runs
    assert (process.returncode, errors) == (0, ""), printed + errors
    assert "✗" not in printed
    assert printed.count("✓") >= 20
    assert re.search(r"utilityfog_2 +(\d+) +\1 +0 +\d+  200, 503 after [\d.]+ s, gone after", printed)
    assert "\x1b" not in printed
    assert_nothing_is_left(port_base, tmp_path)


def test_ctrl_c_in_the_middle_stops_the_servers_and_leaves_nothing(port_base: int, tmp_path: Path) -> None:
    with demo("--port-base", str(port_base), temporary=tmp_path) as process:
        read_until(process, "Traffic")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (130, "")
    assert_nothing_is_left(port_base, tmp_path)


def test_the_demo_serves_until_it_is_told_to_end(port_base: int, tmp_path: Path) -> None:
    with demo("--port-base", str(port_base), temporary=tmp_path) as process:
        read_until(process, "tail -f")
        time.sleep(0.6)
        with socket.create_connection((services.HOST, port_base)):
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (128 + signal.SIGTERM, "")
    assert_nothing_is_left(port_base, tmp_path)


def test_a_port_in_use_is_named_with_its_cure(port_base: int, tmp_path: Path) -> None:
    with (
        socket.create_server((services.HOST, port_base + 1)),
        demo("--once", "--port-base", str(port_base), temporary=tmp_path) as process,
    ):
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed) == (2, "")
    assert errors.startswith(f"demo: port {port_base + 1}, which audotics needs, is in use.")
    assert "--port-base" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("base", ["none", "0", "70000"])
def test_a_port_base_that_is_no_port_is_refused(base: str, tmp_path: Path) -> None:
    with demo("--port-base", base, temporary=tmp_path) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"must be a port between 1 and 65532, got '{base}'" in errors


def test_a_missing_package_is_named_with_the_extra_to_install(port_base: int, tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text("import sys\nsys.modules['flask'] = None\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with demo(
        "--once", "--port-base", str(port_base), temporary=temporary, python_path=str(blocker)
    ) as process:
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed) == (2, "")
    assert errors.startswith("demo: not installed: flask. The cure: pip install 'obs-middleware[flask]'")
    assert "Traceback" not in errors


def test_a_service_that_ends_at_once_is_told_with_the_end_of_its_log(port_base: int, tmp_path: Path) -> None:
    broken = replace(services.SERVICES[0], app="example_apps.nowhere:app")
    with (
        pytest.raises(DemoError, match=r"(?s)tokpulse ended before it was up.*example_apps\.nowhere"),
        processes.running(services.ports(port_base), tmp_path, [broken]),
    ):
        pass


def test_a_service_that_cannot_be_prepared_is_told_with_the_end_of_its_log(
    port_base: int, tmp_path: Path
) -> None:
    broken = replace(services.SERVICES[2], prepare=(sys.executable, "-c", "raise SystemExit('no room')"))
    with (
        pytest.raises(DemoError, match=r"(?s)zerostate could not be prepared.*no room"),
        processes.running(services.ports(port_base), tmp_path, [broken]),
    ):
        pass


def test_a_quantile_is_estimated_within_its_bucket() -> None:
    route = Route(Counter({"200": 100}), buckets=Counter({0.1: 50, 0.2: 100, math.inf: 100}))
    assert [route.quantile_seconds(quantile) for quantile in (0.5, 0.95)] == pytest.approx([0.1, 0.19])
    assert Route().quantile_seconds(0.5) == 0.0


def test_a_quantile_past_the_last_bucket_is_its_bound() -> None:
    assert Route(Counter({"200": 1}), buckets=Counter({10.0: 0, math.inf: 1})).quantile_seconds(0.5) == 10.0


def test_marks_become_words_where_the_terminal_has_only_ascii() -> None:
    raw = io.BytesIO()
    paper = Paper(io.TextIOWrapper(raw, encoding="ascii"))
    paper.claim(Claim("this held", True))
    paper.claim(Claim("that did not", False, "seen: 3 …"))
    assert raw.getvalue().decode() == "   ok  this held\n   NOT that did not: seen: 3 ?\n"
