"""`python -m obs_middleware COMMAND`: which commands there are, and what a wrong one is told."""

from __future__ import annotations

import pytest

from obs_middleware import __main__
from tests.core.support import python

COMMANDS = ("dashboards", "doctor", "health", "lint", "rules", "settings")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        __main__.main([name, "--help"])
    assert end.value.code == 0
    assert f"examples:\n  python -m obs_middleware {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "near"), [("docter", "doctor"), ("setings", "settings"), ("rule", "rules"), ("x", "dashboards")]
)
def test_unknown_command_is_answered_with_the_near_ones(
    name: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main([name]) == 2
    error = capsys.readouterr().err
    assert f"there is no command {name!r}: did you mean" in error
    assert near in error


def test_no_command_is_answered_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main([]) == 2
    assert "doctor" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "inf", "nan"])
def test_time_limit_that_is_none_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        __main__.main(["doctor", ":1", "--timeout", seconds])
    assert end.value.code == 2
    assert f"must be a number of seconds above 0, got '{seconds}'" in capsys.readouterr().err


def test_import_of_the_library_brings_no_command() -> None:
    code = (
        "import sys, obs_middleware.observer; print([name for name in sys.modules if name.startswith({!r})])"
    )
    assert python(code.format("obs_middleware.cli")).strip() == "[]"


def test_reader_that_leaves_ends_the_command_quietly() -> None:
    code = (
        "import os, subprocess, sys\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "done = subprocess.run([sys.executable, '-m', 'obs_middleware', 'settings'], stdout=writer, stderr=-1)\n"
        "print(done.returncode, done.stderr)"
    )
    assert python(code).strip() == "1 b''"
