"""`python -m example_apps.demo [--once] [--scenario NAME] [--port-base N]`."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from example_apps.demo import preflight
from example_apps.demo.errors import CannotStart, DemoError

if TYPE_CHECKING:  # these import packages that may be missing: preflight looks first
    from example_apps.demo.processes import Running

DEFAULT_PORT_BASE = 8100
INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if all that it claims held, 1 if not, 2 if it could not start."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    try:
        preflight.check_packages()
        if options.scenario:
            return _run_scenario(options.scenario, options.port_base)
        return _run(options.port_base, once=options.once)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(port_base: int, *, once: bool) -> int:
    from example_apps.demo import processes, services, tour
    from example_apps.demo.paper import Paper

    ports = services.ports(port_base)
    preflight.check_ports(ports)
    paper = Paper(sys.stdout)
    with tempfile.TemporaryDirectory(prefix="obs-demo-") as directory:
        paper.line("starting four servers …")
        with processes.running(ports, Path(directory)) as running:
            all_held = tour.show(paper, running)
            if not once:
                tour.show_what_to_try(paper, running)
                _serve_until_interrupted(running)
    return 0 if all_held else 1


def _run_scenario(name: str, port_base: int) -> int:
    from example_apps.demo import scenario, scenarios
    from example_apps.demo.paper import Paper

    paper = Paper(sys.stdout)
    if name == "list":
        paper.table(["scenario", "what happens"], [[one.name, one.says] for one in scenarios.SCENARIOS])
        return 0
    if name not in scenarios.BY_NAME:
        raise CannotStart(f"no scenario is named {name!r}. There are: {', '.join(scenarios.BY_NAME)}")
    return 0 if scenario.show(paper, scenarios.BY_NAME[name], port_base) else 1


def _serve_until_interrupted(running: "Mapping[str, Running]") -> None:
    try:
        while True:
            time.sleep(0.5)
            for one in running.values():
                if any(process.poll() is not None for process in (one.process, *one.beside)):
                    raise DemoError(f"{one.name} has ended by itself")
    except KeyboardInterrupt:
        print()


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m example_apps.demo",
        description="Start four example services, send them traffic, and show what their telemetry says.",
    )
    parser.add_argument(
        "--once", action="store_true", help="end after the tour: 0 if all that it claims held, else 1"
    )
    parser.add_argument(
        "--scenario",
        metavar="NAME",
        help="play a scenario instead: traffic, a fault, which metrics moved; 0 if all that it claims held, else 1"
        " (list: which there are)",
    )
    parser.add_argument(
        "--port-base",
        type=_port_base,
        default=DEFAULT_PORT_BASE,
        metavar="N",
        help="the services take the ports N to N+3 (default: %(default)s)",
    )
    return parser


def _port_base(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65_532):
        raise argparse.ArgumentTypeError(f"must be a port between 1 and 65532, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
