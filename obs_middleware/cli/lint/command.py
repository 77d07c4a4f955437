"""`python -m obs_middleware lint PATH…`: dashboards and rules against the metrics there are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from obs_middleware.cli import arguments
from obs_middleware.cli.lint import metrics as declared
from obs_middleware.cli.lint.metrics import Metrics
from obs_middleware.cli.lint.promql import Lint
from obs_middleware.cli.lint.queries import files_in, queries, read, recorded

_EXAMPLES = """\
examples:
  python -m obs_middleware lint dashboards/ rules/ --metrics :8000
  python -m obs_middleware lint slo.yaml dashboards/shop.json --metrics :8000
  python -m obs_middleware lint dashboards/ --metrics page.txt --metrics https://cart.example.org/metrics
  python -m obs_middleware lint dashboards/ --declared node_load1 --declared 'shop_orders_total{state,region}'
  python -m obs_middleware lint dashboards/ --label tenant

The library's own metrics are known. --metrics and --declared add those of the app and of others; what rules record is
known too. A line is `file: panel: message`. The exit code is 0, 1 where something is wrong, 2 for a wrong argument.
It needs promql-parser, and PyYAML for rules: pip install promql-parser pyyaml
"""


def main(given: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    own = arguments.parser("lint", "Check dashboards and rules against the metrics there are.", _EXAMPLES)
    add = own.add_argument
    add(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="dashboards (.json), rules (.yaml), or folders of them",
    )
    add("--metrics", action="append", default=[], metavar="URL|FILE", help="a metrics page; may be repeated")
    add(
        "--declared",
        action="append",
        default=[],
        metavar="NAME",
        help="a metric, or NAME{LABEL,…}; may be repeated",
    )
    add(
        "--label",
        action="append",
        default=[],
        metavar="NAME",
        help="that any metric may have; may be repeated",
    )
    add("--token", help="of metrics pages that want one")
    return arguments.run(own, given, _run)


def _run(given: argparse.Namespace) -> int:
    files = files_in(given.paths)
    documents = [(path, document) for path in files for document in read(path)]
    metrics = _metrics(given)
    for _, document in documents:
        for name in recorded(document):
            metrics.add(name)
    lint = Lint(metrics, labels=frozenset(given.label))
    found = [query for path, document in documents for query in queries(path, document)]
    lines = [
        arguments.printable(f"{one.file}: {one.place}: {why}")
        for one in found
        for why in lint.complaints(one.text)
    ]
    sys.stdout.write("".join(f"{line}\n" for line in dict.fromkeys(lines)))
    sys.stderr.write(f"{len(found)} queries in {len(files)} files, {len(dict.fromkeys(lines))} complaints\n")
    if lines and not (given.metrics or given.declared):
        sys.stderr.write(
            "Metrics of your app are known by its page: --metrics :8000; others by --declared NAME.\n"
        )
    return 1 if lines else 0


def _metrics(given: argparse.Namespace) -> Metrics:
    metrics = declared.own()
    for source in given.metrics:
        declared.add_page(metrics, declared.page_text(source, token=given.token), source=source)
    for text in given.declared:
        name, brace, labels = text.rstrip("}").partition("{")
        metrics.add(name, "", [one.strip() for one in labels.split(",") if one.strip()] if brace else None)
    return metrics
