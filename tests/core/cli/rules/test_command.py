"""`python -m obs_middleware rules`: what it writes is right by the real promtool, and what it refuses it explains."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from obs_middleware import __main__
from tests import programs

PROMTOOL = programs.find("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool: scripts/fetch-debian-testing")
pytestmark = pytest.mark.once
Capture = pytest.CaptureFixture[str]

FILE = """
[[objective]]
service = "shop"
availability = 99.9

[[objective]]
service = "cart"
selector = 'job="cart",namespace="prod"'
latency_seconds = 1
latency_objective = 90
routes = ["/items/{id}"]
"""


def rules(*arguments: object) -> int:
    return __main__.main(["rules", *map(str, arguments)])


def promtool(kind: str, path: Path, *options: str) -> str:
    """Run `check rules` or `test rules`; return what it complains of, empty where all is well."""
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, kind, "rules", *options, path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("name", ["a\nb", "a\u2028b", "{{ .Labels.x }}", "a\udcff"])
def test_names_that_would_break_the_file_are_refused(name: str, capsys: Capture) -> None:
    assert rules("--service", name, "--objective", 99) == 2
    assert rules("--service", "shop", "--objective", 99, "--route", name) == 2
    assert "one line, without {{" in capsys.readouterr().err


def test_objective_that_rounds_to_100_is_refused(capsys: Capture) -> None:
    assert rules("--service", "shop", "--objective", "99." + "9" * 40) == 2
    assert "no budget" in capsys.readouterr().err


def test_quotes_of_a_route_are_escaped_in_tests_too(tmp_path: Path) -> None:
    written, tests = tmp_path / "rules.yaml", tmp_path / "tests.yaml"
    route = 'a"b\\c'
    options = ("--service", "shop", "--objective", 99.9, "--route", route, "-o", written, "--tests", tests)
    assert rules(*options) == 0
    assert 'http_route=\\"a\\\\\\"b\\\\\\\\c' in tests.read_text()


@needs_promtool
def test_promtool_finds_rules_and_tests_of_a_file_right(tmp_path: Path, capsys: Capture) -> None:
    """It takes seconds, because promtool has a database of its own for each test."""
    source, written, tests = (tmp_path / name for name in ("slo.toml", "rules.yaml", "tests.yaml"))
    source.write_text(FILE)
    assert rules(source, "-o", written, "--tests", tests) == 0
    assert promtool("check", written) == ""
    assert promtool("test", tests) == ""
    assert "cart latency 90 %: no alert for 1h/5m" in capsys.readouterr().err
    text = written.read_text()
    for right, wrong in (("14.4 * 0.001", "14.8 * 0.001"), ('le="1.0"', 'le="2.5"')):
        assert right in text
        text = text.replace(right, wrong)
    written.write_text(text)
    found = promtool("test", tests, "--run=more than 14.4", "--run=cart latency .* more than 6 ")
    assert all(f'service=\\"{service}\\"' in found for service in ("shop", "cart")), "what is wrong is found"


@needs_promtool
def test_promtool_finds_rules_of_options_right(tmp_path: Path, capsys: Capture) -> None:
    services = ("--service", "shop", "--service", "cart", "--route", "/a", "--route", "/b/{id}")
    assert (
        rules(*services, "--objective", "99.95", "--latency", "0.25", "--runbook", "https://wiki.test/slo")
        == 0
    )
    written = tmp_path / "rules.yaml"
    written.write_text(text := capsys.readouterr().out)
    assert promtool("check", written) == ""
    assert text.count("alert:") == 2 * 2 * 2 * 4
    assert text.count("https://wiki.test/slo") == 32
    assert 'http_route="/b/{id}"' in text.replace('\\"', '"')
    assert 'le="0.25"' in text.replace('\\"', '"')


def test_bounds_of_the_service_may_be_others(capsys: Capture) -> None:
    assert rules("--service", "shop", "--latency", "0.3", "--buckets", "0.1,0.3,1") == 0
    assert 'le="0.3"' in capsys.readouterr().out.replace('\\"', '"')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--service", "shop", "--latency", "0.3"], "got 0.3: the nearest are 0.1, 0.25, 0.5"),
        (["--service", "shop"], "shop has no objective: give --objective 99.9"),
        (["--objective", "99"], "say whose objectives they are: --service shop"),
        (["--service", "shop", "--objective", "100"], "leaves no budget to burn"),
        (["--service", "shop", "--objective", "0.999"], "not a ratio, got '0.999': did you mean 99.9?"),
        (["--service", "shop", "--objective", "most"], "between 0 and 100 such as 99.9, got 'most'"),
        (["--service", "shop", "--latency-objective", "99", "--objective", "9"], "give --latency 0.25"),
        (["--service", "a", "--service", "b", "--selector", 'x="y"', "--objective", "9"], "use a file"),
        (["--service", "a", "--service", "a", "--objective", "9"], "a has two objectives of availability"),
        (["--service", 'a"b', "--objective", "9"], "service must be a name such as shop"),
        (["--service", "shop", "--objective", "9", "--tests", "x"], "--tests needs -o FILE"),
        (["nothing.toml"], "nothing.toml is not there: give a file of objectives"),
        (["nothing.toml", "--service", "shop"], "got both: --service"),
        (["nothing.toml", "--latency-objective", "99"], "got both: --latency-objective"),
        (
            ["--service", "shop", "--objective", "9", "-o", "x", "--tests", "./x"],
            "-o and --tests name one file, x",
        ),
        (["--service", "shop", "--objective", "9", "-o", "/nowhere/x.yaml"], "can't be written"),
    ],
)
def test_wrong_objective_is_refused_with_the_cure(
    arguments: list[str], words: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert rules(*arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("buckets", ["a", "1,,2"])
def test_bounds_that_are_none_are_refused(buckets: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        rules("--service", "shop", "--latency", "1", "--buckets", buckets)
    assert "must be seconds such as 0.1,0.3,1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[[objective]]\nservice = 'a'\navailabilty = 9",
            "number 1: Object contains unknown field `availabilty`",
        ),
        ("[[objective]]\navailability = 9", "number 1: Object missing required field `service`"),
        ("[objective]\nservice = 'a'", "must have tables [[objective]] and nothing else"),
        ("service = 'a'", "nothing else, got service"),
        ("", "got nothing"),
        ("[", "can't be read as TOML"),
    ],
)
def test_file_that_is_not_as_it_must_be_is_told(
    text: str, words: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "slo.toml").write_text(text)
    assert rules(tmp_path / "slo.toml") == 2
    assert words in capsys.readouterr().err


def test_tests_want_matchers_that_name_one_series(tmp_path: Path, capsys: Capture) -> None:
    arguments = [
        "--service",
        "shop",
        "--objective",
        "9",
        "--selector",
        'job=~"a|b"',
        "-o",
        tmp_path / "r.yaml",
    ]
    assert rules(*arguments) == 0
    assert rules(*arguments, "--tests", tmp_path / "t.yaml") == 2
    assert "tests can be made for matchers such as job=" in capsys.readouterr().err
