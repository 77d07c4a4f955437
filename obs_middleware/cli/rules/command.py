"""`python -m obs_middleware rules`: objectives in, Prometheus rules and their promtool tests out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from obs_middleware.cli import arguments
from obs_middleware.cli.rules import burn_rate, objectives_file, promtool_tests
from obs_middleware.cli.rules.objectives import Objective, check_bound, check_differ, percent
from obs_middleware.cli.rules.objectives_file import Entry
from obs_middleware.cli.rules.yaml_text import yaml_text
from obs_middleware.errors import ConfigError
from obs_middleware.settings import Settings

_EXAMPLES = """\
examples:
  python -m obs_middleware rules --service shop --objective 99.9
  python -m obs_middleware rules --service shop --service cart --latency 0.25 --latency-objective 99
  python -m obs_middleware rules --service shop --objective 99.9 --route /checkout --route '/items/{id}'
  python -m obs_middleware rules --service shop --latency 0.3 --buckets 0.1,0.3,1
  python -m obs_middleware rules objectives.toml -o slo.yaml --tests slo_tests.yaml
  promtool check rules slo.yaml && promtool test rules slo_tests.yaml

objectives.toml has a table for each service:
  [[objective]]
  service = "shop"            # the label job of its series, unless selector says otherwise
  availability = 99.9         # percent of requests that must not fail
  latency_seconds = 0.25      # a bound of metrics_buckets
  latency_objective = 99      # percent of requests that must be as fast; 99 unless given
  routes = ["/checkout"]      # objectives of single routes; left out: of the service as a whole
  selector = 'job="shop",namespace="prod"'
  buckets = [0.1, 0.25, 1]    # where metrics_buckets is set
"""
_LATENCY_PERCENT = 99
_OF_OBJECTIVES = ("service", "objective", "latency", "latency-objective", "route", "selector", "buckets")
_HEADER = "# Written by `python -m obs_middleware rules`: change the objectives, not this file.\n"


def main(given: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    own = arguments.parser("rules", "Write SLO rules and burn-rate alerts for Prometheus.", _EXAMPLES)
    add = own.add_argument
    add("file", nargs="?", type=Path, metavar="FILE", help="objectives as TOML, in place of the options")
    add("--service", action="append", default=[], metavar="NAME", help="whose objectives; may be repeated")
    add("--objective", metavar="PERCENT", help="of the requests that must not fail, such as 99.9")
    add("--latency", type=arguments.seconds, metavar="SECONDS", help="that a good request takes at most")
    add(
        "--latency-objective",
        metavar="PERCENT",
        help=f"of the requests that must be good (default: {_LATENCY_PERCENT})",
    )
    add(
        "--route",
        action="append",
        default=[],
        metavar="TEMPLATE",
        help="objectives of this route alone; may be repeated",
    )
    add("--selector", metavar="MATCHERS", help="""which series are a service's (default: job="NAME")""")
    add(
        "--buckets",
        type=_bounds,
        metavar="SECONDS,…",
        help="metrics_buckets of the services, where it is set",
    )
    add("--runbook", metavar="URL", help="of the annotation runbook_url")
    add("-o", "--output", type=Path, metavar="FILE", help="of the rules (default: standard output)")
    add("--tests", type=Path, metavar="FILE", help="write promtool tests of the rules to this file; needs -o")
    return arguments.run(own, given, _run)


def _run(given: argparse.Namespace) -> int:
    if given.tests is not None and given.output is None:
        raise ConfigError("--tests needs -o FILE, because the tests name the file of the rules")
    if given.tests is not None and os.path.realpath(given.tests) == os.path.realpath(given.output):
        raise ConfigError(f"-o and --tests name one file, {given.output}: give the tests another")
    objectives = [one for entry in _entries(given) for one in _objectives(entry)]
    check_differ(objectives)
    _tell_left_out(objectives)
    rules = _HEADER + yaml_text(burn_rate.rules(objectives, runbook_url=given.runbook))
    tests = None
    if given.tests is not None:
        beside = os.path.relpath(given.output, given.tests.parent)
        tests = _HEADER + yaml_text(promtool_tests.tests(objectives, rules_file=beside))
    _write(given.output, rules)
    if tests is not None:
        _write(given.tests, tests)
    return 0


def _entries(given: argparse.Namespace) -> Iterator[Entry]:
    if given.file is not None:
        both = [name for name in _OF_OBJECTIVES if getattr(given, name.replace("-", "_"))]
        if both:
            raise ConfigError(f"give either a file of objectives or options, got both: --{', --'.join(both)}")
        yield from objectives_file.read(given.file)
        return
    if not given.service:
        raise ConfigError("say whose objectives they are: --service shop, or a file of objectives")
    if given.selector is not None and len(given.service) > 1:
        raise ConfigError(
            "--selector chooses the series of one service, got several: use a file of objectives"
        )
    for service in given.service:
        yield Entry(
            service,
            given.objective,
            given.latency,
            given.latency_objective,
            tuple(given.route),
            given.selector,
            given.buckets,
        )


def _objectives(entry: Entry) -> Iterator[Objective]:
    selector = entry.selector if entry.selector is not None else f'job="{entry.service}"'
    if not entry.service or '"' in entry.service or "\\" in entry.service:
        raise ConfigError(f"service must be a name such as shop, got {entry.service!r}")
    if entry.availability is None and entry.latency_seconds is None:
        raise ConfigError(
            f"{entry.service} has no objective: give --objective 99.9 (availability) or --latency 0.25"
        )
    if entry.latency_seconds is None and entry.latency_objective is not None:
        raise ConfigError(f"{entry.service} has a latency objective without a latency: give --latency 0.25")
    for text in (entry.service, selector, *entry.routes):
        if (
            not text.isprintable() or "{{" in text
        ):  # a line's end ends PromQL's texts, and braces begin a template
            raise ConfigError(f"services, selectors and routes are one line, without {{{{, got {text!r}")
    for route in entry.routes or ("",):
        if entry.availability is not None:
            yield Objective(
                entry.service, percent(entry.availability, name="objective"), selector, route=route
            )
        if entry.latency_seconds is not None:
            yield _of_latency(entry, entry.latency_seconds, selector, route)


def _of_latency(entry: Entry, seconds: float, selector: str, route: str) -> Objective:
    share = percent(
        _LATENCY_PERCENT if entry.latency_objective is None else entry.latency_objective,
        name="latency objective",
    )
    bounds = entry.buckets if entry.buckets is not None else Settings().metrics_buckets
    cure = "Choose one of them, or set metrics_buckets in the service and say so: --buckets 0.1,0.3,1"
    check_bound(seconds, bounds, cure=cure)
    return Objective(entry.service, share, selector, seconds, route)


def _tell_left_out(objectives: Sequence[Objective]) -> None:
    for one in objectives:
        for window in burn_rate.WINDOWS:
            if not window.can_fire(one):
                sys.stderr.write(
                    f"note: {one.service} {one.slo} {one.percent:f} %: no alert for {window.long}/{window.short}, "
                    f"because even when all requests are bad the budget does not burn {window.factor} times too fast\n"
                )


def _bounds(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be seconds such as 0.1,0.3,1, got {text!r}") from None


def _write(path: Path | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from None
    sys.stderr.write(f"wrote {path}\n")
