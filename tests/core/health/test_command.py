"""`python -m obs_middleware health`: for Docker's HEALTHCHECK and for cron, with an exit code of 0 or 1."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from obs_middleware import Observer, __main__
from obs_middleware.health import Result
from tests.core.health.probing import fail
from tests.core.support import ROOT, request
from tests.http_servers import SilentHandler, serving


class Handler(SilentHandler):
    """Answer with what an Observer says."""

    own: ClassVar[Any] = None
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.own is None:
            status, body = 302, b"elsewhere"
        elif self.own.gateway.has_page(self.path):
            reply = self.own.gateway.reply(request(path=self.path, headers=headers), self.path)
            status, body = reply.status, reply.body
        else:
            status, body = 404, b"[]"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # who asked waits no longer
            self.end_headers()
            self.wfile.write(body)


@pytest.fixture
def port(own: Observer) -> Iterator[int]:
    Handler.own, Handler.asked = own, []
    with serving(Handler) as port:
        yield port


@pytest.fixture
def shop(own: Observer, monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("shop_of_the_test")
    module.observer = own
    monkeypatch.setitem(sys.modules, "shop_of_the_test", module)
    return module


def run(*arguments: str) -> int:
    patient = () if "--timeout" in arguments else ("--timeout", "60")
    return __main__.main(["health", *arguments, *patient])


def exit_code(*arguments: str) -> object:
    try:
        return run(*arguments)
    except SystemExit as end:
        return end.code


def test_server_that_is_well_is_a_0(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    for target in (f":{port}", f"127.0.0.1:{port}", f"http://localhost:{port}", f"http://127.0.0.1:{port}/"):
        assert run(target) == 0
    assert Handler.asked == ["/health/ready"] * 4
    assert capsys.readouterr().out.splitlines()[0] == f"pass  http://127.0.0.1:{port}/health/ready"


def test_server_that_warns_is_a_0(own: Observer, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    own.health.add("mail", fail, critical=False)
    assert run(f":{port}") == 0
    assert capsys.readouterr().out.startswith("warn  http://")


def test_server_that_fails_is_a_1_and_tells_why_who_has_the_token(
    own: Observer, port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own.health.add("database", fail)
    url = f"http://127.0.0.1:{port}/health/ready"
    assert run(f":{port}") == 1
    assert capsys.readouterr().err == f"fail  {url}: status 503\n"
    monkeypatch.setenv("OBS_HEALTH_TOKEN", "health-token")
    own.lifecycle.drain()
    assert run(f":{port}") == 1
    first, note, check = capsys.readouterr().err.splitlines()
    assert (first, note) == (f"fail  {url}: status 503", "      the app is about to stop")
    assert check.startswith("fail  database: ConnectionError: ")


def test_path_group_and_environment_say_what_is_asked(
    own: Observer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.health.add("disk", lambda: None, groups=("storage",))
    assert run(f"http://127.0.0.1:{port}/health/live?a=1") == 1
    assert run(f"127.0.0.1:{port}/livez") == 0
    assert run(f":{port}", "--group", "storage") == 0
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("OBS_READY_PATH", "/readyz")
    assert run() == 0
    assert Handler.asked == ["/health/live?a=1", "/livez", "/health/storage", "/readyz"]


def test_what_is_no_answer_is_a_1(
    own: Observer, port: int, capsys: pytest.CaptureFixture[str], hang: threading.Event
) -> None:
    Handler.own = None
    assert run(f":{port}") == 1
    assert "status 302" in capsys.readouterr().err
    Handler.own = SimpleNamespace(gateway=SimpleNamespace(has_page=lambda path: not hang.wait()))
    assert run(f":{port}", "--timeout", "0.1") == 1
    assert "no answer after 0.1 s" in capsys.readouterr().err
    assert run("http://127.0.0.1:1/") == 1
    assert "refused: nobody listens there; start the server" in capsys.readouterr().err
    assert run(f"https://127.0.0.1:{port}", "--timeout", "0.1") == 1
    hang.set()


def test_checks_of_an_app_run_here(own: Observer, shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("shop_of_the_test:observer") == 0
    assert capsys.readouterr().out == "pass  no checks are registered\n"
    own.health.add("slow", lambda: not threading.Event().wait(0.2))
    own.health.add("replicas", lambda: Result("warn", output="2 of 3"))
    assert run("shop_of_the_test:observer") == 0
    assert capsys.readouterr().out == "pass  slow\nwarn  replicas: 2 of 3\n"
    own.health.add("database", lambda: False)
    own.health.add("disk", lambda: True, groups=("storage",))
    assert run("shop_of_the_test:observer") == 1
    assert "fail  database: returned False\n" in capsys.readouterr().err
    assert run("shop_of_the_test:observer", "--group", "storage") == 0
    assert run("shop_of_the_test:observer", "--group", "nothing") == 1
    assert "no check has the group 'nothing'" in capsys.readouterr().err


@pytest.mark.hangs
def test_check_that_hangs_ends_with_the_timeout(
    own: Observer, shop: Any, capsys: pytest.CaptureFixture[str], hang: threading.Event
) -> None:
    own.health.add("database", hang.wait)
    assert run("shop_of_the_test:observer", "--timeout", "0.1") == 1
    assert capsys.readouterr().err == "fail  database: no answer yet\n"


def test_observer_is_found_in_apps_of_all_kinds(own: Observer, shop: Any) -> None:
    shop.wrapped = SimpleNamespace(observer=own)
    shop.flask = SimpleNamespace(extensions={"obs": own})
    shop.starlette = SimpleNamespace(user_middleware=[SimpleNamespace(kwargs={"observer": own})])
    shop.outer = SimpleNamespace(app=shop.flask)
    for name in ("wrapped", "flask", "starlette", "outer"):
        assert run(f"shop_of_the_test:{name}") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere_at_all:app"], "No module named 'nowhere_at_all'"),
        (["shop_of_the_test:app"], "has no attribute 'app'"),
        (["shop_of_the_test:__name__"], "name the Observer itself, such as shop_of_the_test:observer"),
        (["shop"], "must be a URL such as http://127.0.0.1:8000, or module:app"),
        (["ftp://127.0.0.1"], "must be a URL such as http://127.0.0.1:8000"),
        (["http://"], "must be a URL such as http://127.0.0.1:8000"),
        (["--timeout", "soon"], "must be a number of seconds above 0, got soon"),
        (["--timeout", "0"], "must be a number of seconds above 0, got 0"),
        (["a", "b"], "unrecognized arguments: b"),
    ],
)
def test_wrong_argument_is_a_1_and_says_what_is_wanted(
    arguments: list[str], words: str, shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*arguments) == 1
    assert words in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run("--help")
    assert end.value.code == 0
    assert "HEALTHCHECK" in capsys.readouterr().out
    assert __main__.main(["--help"]) == 0
    assert "health" in capsys.readouterr().out
    assert __main__.main([]) == __main__.main(["helth"]) == 2


def test_command_runs_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from obs_middleware import Observer\n"
        "observer = Observer()\n"
        "observer.health.add('database', lambda: False, timeout_seconds=60)\n"
    )
    sanitizer = {name: os.environ[name] for name in ("LD_PRELOAD", "ASAN_OPTIONS") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "obs_middleware", "health", "shop:observer", "--timeout", "60"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", **sanitizer},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "fail  database: returned False" in done.stderr
