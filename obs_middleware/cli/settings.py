"""`python -m obs_middleware settings`: every setting, the value in force, and where it comes from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from obs_middleware import app_target
from obs_middleware.cli import arguments
from obs_middleware.settings import Settings
from obs_middleware.settings.origins import Origin

_EXAMPLES = """\
examples:
  python -m obs_middleware settings                            those of this environment
  python -m obs_middleware settings shop.main:app              of an app: keywords and the framework's config too
  python -m obs_middleware settings shop.wsgi:application --changed
  python -m obs_middleware settings --json | jq '.settings.metrics_path'

Where a value comes from: keyword, framework (OBS_… in Flask's or Django's config), environment, or default.
Secrets are not shown. The exit code is 0, 1 where a name or a value would be refused, 2 for a wrong argument.
"""
_WIDEST = 60


def main(given: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    own = arguments.parser("settings", "Show every setting, its value and where that comes from.", _EXAMPLES)
    add = own.add_argument
    add(
        "app",
        nargs="?",
        metavar="module:app",
        help="an app or an Observer; the environment alone unless given",
    )
    add("--changed", action="store_true", help="leave those out that have their default")
    add("--json", action="store_true", help="for programs")
    return arguments.run(own, given, _run)


def _run(given: argparse.Namespace) -> int:
    found, problems = _of_app(given.app) if given.app else Settings.origins()
    kept = [one for one in found if not given.changed or one.source != "default"]
    sys.stdout.write(_json(kept, problems) if given.json else "".join(f"{line}\n" for line in _table(kept)))
    sys.stderr.write("".join(f"error: {problem}\n" for problem in problems))
    return 1 if problems else 0


def _of_app(target: str) -> tuple[list[Origin], list[str]]:
    app = app_target.resolve(target)
    observer = next(filter(app_target.is_observer, app_target.candidates(app)), None)
    config = _config(app)
    if observer is None:
        return Settings.origins(config=config, **_keywords(app))
    found, problems = Settings.origins(config=config)
    in_force, _ = Settings.origins(
        env={}, **{name: getattr(observer.settings, name) for name in observer.settings.__struct_fields__}
    )
    pairs = zip(found, in_force, strict=True)
    return [before if before.value == now.value else now for before, now in pairs], problems


def _config(app: Any) -> Mapping[str, Any]:
    """Return the framework's own settings: Flask's of the app, or Django's, if the app has brought Django along."""
    for one in app_target.apps(app):
        config = getattr(one, "config", None)
        if isinstance(config, Mapping):
            return config
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    if settings is None or not settings.configured:
        return {}
    return {name: getattr(settings, name) for name in dir(settings) if name.startswith("OBS_")}


def _keywords(app: Any) -> dict[str, Any]:
    """Return what was given to our middleware, which makes its Observer when the app starts."""
    names = Settings.__struct_fields__
    given = [keywords for one in app_target.apps(app) for keywords in app_target.middleware_keywords(one)]
    return {name: value for keywords in given for name, value in keywords.items() if name in names}


def _table(found: Iterable[Origin]) -> Iterator[str]:
    lines = [("setting", "value", "from"), *map(_line, found)]
    if len(lines) == 1:
        yield "every setting has its default"
        return
    widths = [min(max(len(line[column]) for line in lines), _WIDEST) for column in (0, 1)]
    for name, value, source in lines:
        yield f"{name:{widths[0]}}  {value:{widths[1]}}  {source}"


def _line(one: Origin) -> tuple[str, str, str]:
    return one.name, arguments.printable(_text(one.value)), _source(one)


def _source(one: Origin) -> str:
    return f"{one.source} {one.label}" if one.label not in ("", one.name) else one.source


def _text(value: Any) -> str:
    """Return a value as it stands in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return ",".join(_text(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _json(found: Iterable[Origin], problems: Sequence[str]) -> str:
    settings = {one.name: {"value": one.value, "source": one.source, "label": one.label} for one in found}
    return (
        json.dumps({"settings": settings, "problems": problems}, indent=2, ensure_ascii=False, default=str)
        + "\n"
    )
