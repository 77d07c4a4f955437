"""`python -m monitoring.stack`: run the four services, and what watches them, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from example_apps.demo import preflight, processes, services
from example_apps.demo.errors import DemoError
from monitoring.stack import running

PORT_BASE = 8100


def main() -> int:
    """Serve until Ctrl-C; 0 then, 2 where something could not be started."""
    if missing := running.missing():
        print(f"monitoring: {missing} not found. The cure: scripts/fetch-debian-testing", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ports = services.ports(PORT_BASE)
    try:
        preflight.check_packages()
        preflight.check_ports(ports | running.PORTS)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="obs-monitoring-")))
            _start(stack, folder, ports)
            _show(ports, folder)
            signal.pause()
    except DemoError as error:
        print(f"monitoring: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print()
    return 0


def _start(stack: ExitStack, folder: Path, ports: dict[str, int]) -> None:
    port = running.PORTS["pushgateway"]
    stack.enter_context(running.pushgateway(folder, port=port))
    os.environ["AUDOTICS_PUSHGATEWAY"] = f"http://{running.HOST}:{port}"
    stack.enter_context(processes.running(ports, folder))
    addresses = {name: f"{running.HOST}:{number}" for name, number in (ports | {"pushgateway": port}).items()}
    stack.enter_context(
        running.watching(addresses, folder, token=services.METRICS_TOKEN, ports=running.PORTS)
    )


def _show(ports: dict[str, int], folder: Path) -> None:
    pages = {name: f"http://{running.HOST}:{port}" for name, port in (ports | running.PORTS).items()}
    pages["prometheus"] += "/alerts"
    pages["receiver"] += "/alerts"
    for name, page in pages.items():
        print(f"{name:>14}  {page}")
    print(
        f"\nThe first scrapes take 15 s. Logs and the lines of alerts are in {folder}. Ctrl-C ends all.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
