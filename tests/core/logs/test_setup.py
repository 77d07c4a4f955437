"""Logging: our handler where there is none, the user's where there is one."""

from __future__ import annotations

import os
import sys

import pytest

from tests.core.support import python, strict_json

SET_UP = """
import logging, sys
from obs_middleware import Observer, Settings
{before}
observer = Observer(Settings.load())
observer.gateway.set_up(debug={debug})
observer.gateway.set_up(debug={debug})
{after}
"""


def printed(
    *,
    before: str = "",
    after: str = "logging.getLogger('shop').info('paid')",
    debug: bool = False,
    **env: str,
) -> str:
    return python(SET_UP.format(before=before, after=after, debug=debug), env=env)


def test_where_there_is_no_handler_ours_writes_json_to_stdout_once() -> None:
    found = strict_json(printed(OBS_SERVICE_NAME="shop").rstrip("\n"))
    assert (found["message"], found["service"], found["environment"]) == ("paid", "shop", "production")


def test_environment_follows_the_debug_flag_and_the_level_is_the_settings() -> None:
    assert printed(OBS_LOG_LEVEL="WARNING") == ""
    of_the_start, of_the_app = map(strict_json, printed(debug=True).splitlines())
    assert of_the_app["environment"] == "development"
    assert "fast paths on" in of_the_start["message"]


def test_pretty_lines_are_written_where_wanted() -> None:
    assert printed(OBS_LOG_FORMAT="pretty").rstrip().endswith("INFO     shop  paid")


def test_line_is_not_lost_on_an_output_that_is_not_utf8() -> None:
    text = printed(after="logging.getLogger('shop').info('caf\\u00e9 \\u2192')", PYTHONIOENCODING="ascii")
    assert strict_json(text.rstrip("\n"))["message"] == "café →"


@pytest.mark.parametrize(
    "before",
    [
        "logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)",
        "logging.getLogger().addHandler(logging.StreamHandler(sys.stdout)); logging.getLogger().setLevel('INFO')",
    ],
)
def test_where_the_user_has_configured_logging_that_stays(before: str) -> None:
    assert printed(before=before) == "paid\n"


def test_log_setup_can_be_turned_off() -> None:
    assert printed(after="print(logging.getLogger().handlers)", OBS_LOG_SETUP="false") == "[]\n"


UVICORN = """
import uvicorn.config
logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
"""
SERVERS = """
logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", "/", "1.1", 200)
logging.getLogger("gunicorn.error").info("Booting worker")
logging.getLogger("gunicorn.own").info("own")
"""
GUNICORN = """
import logging.config
for name in ("gunicorn.error", "gunicorn.own"):
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.setLevel("INFO")
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.handlers[0]._gunicorn = name == "gunicorn.error"
"""


def test_lines_of_the_servers_come_in_our_format_and_their_access_lines_do_not() -> None:
    *lines, own = printed(before=GUNICORN + UVICORN, after=SERVERS).splitlines()
    found = [strict_json(line) for line in lines]
    assert [(line["logger"], line["message"]) for line in found] == [
        ("uvicorn.error", "Started server process [7]"),
        ("gunicorn.error", "Booting worker"),
    ]
    assert "color_message" not in found[0]
    assert own == "own"


def test_access_lines_of_the_server_stay_where_ours_are_off() -> None:
    text = printed(before=GUNICORN + UVICORN, after=SERVERS, OBS_ACCESS_LOG="0")
    assert text.count("GET / HTTP/1.1") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are opened otherwise there")
def test_auto_format_is_pretty_on_a_terminal_in_development_alone() -> None:
    pty = pytest.importorskip("pty")

    def on_terminal(debug: bool) -> str:
        ours, terminal = pty.openpty()
        before = f"import os; sys.stdout = open({os.ttyname(terminal)!r}, 'w')"
        python(SET_UP.format(before=before, after="logging.getLogger('shop').info('paid')", debug=debug))
        text = os.read(ours, 10_000).decode()
        os.close(ours)
        os.close(terminal)
        return text

    assert "\033[32mINFO" in on_terminal(debug=True)
    assert strict_json(on_terminal(debug=False).strip())["message"] == "paid"


def test_logging_that_is_configured_after_our_import_does_not_silence_us() -> None:
    config = "{'version': 1, 'root': {'handlers': [], 'level': 'INFO'}}"
    configure = f"import logging.config; logging.config.dictConfig({config})"
    state = "print([logging.getLogger(name).disabled for name in ('obs', 'obs.access')])"
    assert printed(before=configure, after=state) == "[False, False]\n"
