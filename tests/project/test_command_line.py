"""The page of the command line is tried as written, on an app that runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from obs_middleware import __main__
from obs_middleware.cli import dashboards_command
from tests.core.cli.doctor.faulty_app import FaultyApp, served
from tests.installed import ROOT

pytest.importorskip("promql_parser", reason="promql-parser does not load in Python 3.15: no command lint")
PAGE = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def app() -> Iterator[FaultyApp]:
    with served(FaultyApp(service_name="shop")) as app:
        yield app


def test_page_can_be_followed(app: FaultyApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds, because doctor asks the app three times."""
    monkeypatch.chdir(tmp_path)
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "objectives.toml").write_text(toml)
    assert len(COMMANDS) > 10
    for command in COMMANDS:
        python, _, _, *arguments = shlex.split(re.sub(r":8000\b", f":{app.port}", command))
        assert python == "python"
        if arguments[0] != "dashboards" or dashboards_command.rendered():
            assert __main__.main(arguments) == 0, command


def test_page_names_every_command() -> None:
    with pytest.raises(SystemExit):
        __main__.main(["doctor", "--help"])
    for name in ("doctor", "health", "settings", "lint", "rules", "dashboards"):
        assert f"[`{name}`](" in PAGE
