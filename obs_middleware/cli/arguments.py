"""The parser of a command: its help ends with examples, and a wrong argument ends with 2 and the cure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from obs_middleware.errors import ConfigError


def parser(name: str, about: str, examples: str) -> argparse.ArgumentParser:
    """Return the parser of a command.

    Args:
        examples: command lines, one a line, as a person types them.
    """
    return argparse.ArgumentParser(
        prog=f"python -m obs_middleware {name}",
        description=about,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run(
    own: argparse.ArgumentParser, arguments: Sequence[str], command: Callable[[argparse.Namespace], int]
) -> int:
    """Parse the arguments and run a command; return its exit code, 2 where it says that its input is wrong."""
    given = own.parse_args(list(arguments))
    try:
        return command(given)
    except ConfigError as wrong:
        sys.stderr.write(f"{own.prog}: {wrong}\n")
        return 2


def seconds(text: str) -> float:
    """Return a number of seconds above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return number


def printable(text: str) -> str:
    """Return one line that a terminal shows as it is, because files and servers may send control characters."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
