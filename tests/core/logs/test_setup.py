"""Logging: our handler where there is none, the user's where there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
def test_where_the_user_has_configured_logging_that_stays_and_one_line_says_so(before: str) -> None:
    said, line = printed(before=before).splitlines()
    assert line == "paid"
    for part in (
        "StreamHandler",
        "obs_middleware.logs.JsonFormatter",
        "OBS_LOG_SETUP=force",
        "log_setup=False",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("before", "env"),
    [
        (
            "logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)",
            {"OBS_LOG_SETUP": "0"},
        ),
        (
            """
from obs_middleware.logs import RedactingFilter
logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)
logging.root.handlers[0].addFilter(RedactingFilter())
""",
            {},
        ),
    ],
    ids=["it is turned off", "their handler has our filter"],
)
def test_nothing_is_said_where_all_is_as_it_is_meant(before: str, env: dict[str, str]) -> None:
    assert printed(before=before, debug=False, **env) == "paid\n"


CONSOLE = """
from obs_middleware.logs import JsonFormatter
console = logging.StreamHandler(sys.stdout)
logging.getLogger("django").addHandler(console)
{more}
"""


def test_handler_of_the_users_on_another_logger_stays_and_one_line_says_that_lines_are_there_twice() -> None:
    """As in `LOGGING` of many Django projects: a console on `django`, and nothing on the root logger."""
    said, theirs, ours = printed(
        before=CONSOLE.format(more=""), after="logging.getLogger('django.request').warning('Not Found')"
    ).splitlines()
    assert (theirs, strict_json(ours)["message"]) == ("Not Found", "Not Found")
    message = str(strict_json(said)["message"])
    assert all(part in message for part in ("django", "propagate=False", "OBS_LOG_SETUP=force"))


@pytest.mark.parametrize(
    ("more", "env"),
    [
        ("console.setFormatter(JsonFormatter()); logging.getLogger('django').propagate = False", {}),
        ("", {"OBS_LOG_SETUP": "force"}),
    ],
    ids=["it has our formatter", "ours takes its place"],
)
def test_nothing_is_said_of_a_handler_whose_lines_are_our_json(more: str, env: dict[str, str]) -> None:
    after = "logging.getLogger('django.request').warning('Not Found')"
    found = strict_json(
        printed(before=CONSOLE.format(more=more), after=after, debug=False, **env).rstrip("\n")
    )
    assert found["message"] == "Not Found"


BASIC_CONFIG = "logging.basicConfig(format='%(name)s %(message)s', stream=sys.stdout)"  # at WARNING
REQUEST = """
from obs_middleware import RequestInfo
from obs_middleware.queue import flush
def ask(path="/items/7"):
    exchange = observer.gateway.start(RequestInfo("GET", path, "", "http", {}.get, None, "1.1", False))
    exchange.status = 200
    exchange.finish()
    flush()
"""


def test_access_lines_come_out_whatever_the_level_of_the_users_root_logger() -> None:
    lines = printed(before=BASIC_CONFIG, after=REQUEST + "ask()", OBS_LOG_SETUP="0").splitlines()
    assert lines == ["obs.access GET /items/7 200"]


def test_level_that_the_user_has_given_the_access_logger_counts() -> None:
    before = f"{BASIC_CONFIG}; logging.getLogger('obs.access').setLevel('ERROR')"
    assert printed(before=before, after=REQUEST + "ask()", OBS_LOG_SETUP="0") == ""


def test_force_takes_the_place_of_handlers_that_print_and_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    before = f"""
{BASIC_CONFIG}
logging.root.addHandler(logging.FileHandler({str(file)!r}))
shop = logging.getLogger("shop")
shop.addHandler(logging.StreamHandler(sys.stdout))
shop.propagate = False
"""
    (line,) = printed(before=before, OBS_LOG_SETUP="force").splitlines()
    assert strict_json(line)["message"] == "paid"
    assert file.read_text() == "paid\n"


CONFIGURED_AGAIN = """
import logging.config
logging.config.dictConfig({"version": 1, "formatters": {"plain": {"format": "%(name)s %(message)s"}}, "handlers":
    {"console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "plain"}},
    "root": {"level": "WARNING", "handlers": ["console"]}})
"""


def test_access_lines_go_on_where_logging_is_configured_anew_later_and_one_line_says_so() -> None:
    said, *lines = printed(after=REQUEST + CONFIGURED_AGAIN + "ask(); ask(); ask()").splitlines()
    assert said.startswith("obs obs-middleware: logging is configured already")
    assert lines == ["obs.access GET /items/7 200"] * 3


ALEMBIC = """
import types, logging.config
sys.modules["alembic"] = types.ModuleType("alembic")
logging.config.dictConfig({"version": 1,
    "formatters": {"generic": {"format": "%(levelname)-5.5s [%(name)s] %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "generic"}},
    "root": {"level": "WARNING", "handlers": ["console"]}})
"""


def test_handler_comes_back_where_alembics_config_has_replaced_it() -> None:
    after = REQUEST + ALEMBIC + "ask(); logging.getLogger('migrated').info('paid')"
    access, own = map(strict_json, printed(after=after).splitlines())
    assert (access["path"], own["message"]) == ("/items/7", "paid")


SERVER_HANDLERS = {
    "daphne": "import types; sys.modules['daphne.cli'] = types.ModuleType('daphne.cli')\n"
    "logging.basicConfig(level='INFO', format='%(asctime)-15s %(levelname)-8s %(message)s')",
    "waitress": "import types; sys.modules['waitress'] = types.ModuleType('waitress'); logging.basicConfig()",
    "null": "logging.getLogger().addHandler(logging.NullHandler())",
    "opentelemetry": "class Handler(logging.NullHandler): pass\n"
    "Handler.__module__ = 'opentelemetry.sdk._logs'; logging.getLogger().addHandler(Handler())",
}


@pytest.mark.parametrize("name", SERVER_HANDLERS)
def test_handler_of_a_server_or_an_exporter_is_no_configuration_of_the_users(name: str) -> None:
    assert strict_json(printed(before=SERVER_HANDLERS[name]).strip())["message"] == "paid"


def test_the_stream_of_the_day_is_written_to_and_a_closed_one_is_not() -> None:
    after = """
import io
log, real = logging.getLogger("shop"), sys.stdout
sys.stdout = caught = io.StringIO()
log.info("caught")
caught.close()
log.info("to the stream of the start")
sys.stdout = None
log.info("there too")
sys.stdout = real
"""
    assert [strict_json(line)["message"] for line in printed(after=after).splitlines()] == [
        "to the stream of the start",
        "there too",
    ]


def test_stream_that_logs_what_is_printed_makes_no_circle() -> None:
    after = """
class ToLogger:
    def write(self, text):
        if text.strip():
            logging.getLogger("printed").info(text)
    def flush(self):
        pass
sys.stdout = ToLogger()
print("hello")
"""
    assert "hello" in printed(after=after)


def test_output_of_a_cgi_script_is_its_response() -> None:
    after = "logging.getLogger('shop').info('paid'); print(logging.root.handlers[0].stream is sys.stderr)"
    assert (
        printed(
            after="sys.stderr = open(os.devnull, 'w'); " + after,
            before="import os",
            GATEWAY_INTERFACE="CGI/1.1",
        )
        == "True\n"
    )


WERKZEUG = """
werkzeug = logging.getLogger("werkzeug")
werkzeug.info('1.2.3.4 - - [day] "%s" %s %s', "GET / HTTP/1.1", "200", "-")
werkzeug.info("\x1b[33mPress CTRL+C to quit\x1b[0m")
"""


def test_werkzeugs_access_lines_are_not_written_and_its_other_lines_have_no_terminal_codes() -> None:
    (line,) = printed(after=WERKZEUG).splitlines()
    assert strict_json(line)["message"] == "Press CTRL+C to quit"
    assert (
        '"GET / HTTP/1.1" 200 -'
        in strict_json(printed(after=WERKZEUG, OBS_ACCESS_LOG="0").splitlines()[0])["message"]
    )


COLOURED = """
werkzeug = logging.getLogger("werkzeug")
werkzeug.info('1.2.3.4 - - [day] "%s" %s %s', "\x1b[36mGET /a HTTP/1.1\x1b[0m", 304, "-")
werkzeug.info("\x1b[1mserves on port %(port)d\x1b[0m", {"port": 5000})
"""


def test_werkzeugs_own_lines_have_no_terminal_codes_where_they_are_wanted() -> None:
    lines = map(strict_json, printed(after=COLOURED, OBS_ACCESS_LOG="0").splitlines())
    assert [line["message"] for line in lines] == [
        '1.2.3.4 - - [day] "GET /a HTTP/1.1" 304 -',
        "serves on port 5000",
    ]


RUNSERVER = """
django = logging.getLogger("django.server")
django.info('"%s" %s %s', "GET / HTTP/1.1", "200", "5", extra={"status_code": 200, "server_time": "day"})
django.info("- Broken pipe from %s", ("192.0.2.1", 50123))
"""


def test_access_lines_of_djangos_runserver_are_not_written_and_its_other_lines_are() -> None:
    (line,) = printed(after=RUNSERVER).splitlines()
    assert strict_json(line)["message"] == "- Broken pipe from ('192.0.2.1', 50123)"


FLASK = """
from flask import Flask
app = Flask("shop")
app.logger.setLevel("INFO")
"""


def test_lines_of_flasks_logger_are_there_once_and_ours_though_it_was_asked_for_before_us() -> None:
    (line,) = printed(before=FLASK, after="app.logger.info('paid')").splitlines()
    assert strict_json(line)["message"] == "paid"


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


@pytest.mark.parametrize("is_file", [False, True])
def test_access_lines_of_gunicorn_stay_only_in_a_file_of_their_own(tmp_path: Path, is_file: bool) -> None:
    """`--access-logfile -` would put the query's secrets between our lines."""
    kept = tmp_path / "access.log"
    kept.touch()
    handler = f"logging.FileHandler({str(kept)!r})" if is_file else "logging.StreamHandler(sys.stdout)"
    before = f"""
import logging.config
logger = logging.getLogger("gunicorn.access")
logger.propagate = False
logger.setLevel("INFO")
logger.addHandler({handler})
logger.handlers[0]._gunicorn = True
"""
    asked = 'logging.getLogger("gunicorn.access").info("GET /?password=x")'
    assert printed(before=before, after=asked) == ""
    assert kept.read_text() == ("GET /?password=x\n" if is_file else "")


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


def test_closed_standard_output_is_no_failure_of_ours() -> None:
    after = """
caught = []
logging.root.addHandler(type("Catch", (logging.Handler,), {"emit": lambda self, record: caught.append(record.name)})())
observer.gateway.set_up(debug=False)
logging.getLogger("shop").info("paid")
assert caught == ["shop"], caught
"""
    assert printed(before="sys.stdout.close()", after=after) == ""


def test_attributes_that_a_record_factory_adds_are_in_the_line() -> None:
    before = """
stock = logging.getLogRecordFactory()
def factory(*args, **kwargs):
    record = stock(*args, **kwargs)
    record.tenant = "acme"
    return record
logging.setLogRecordFactory(factory)
"""
    code = SET_UP.format(before="", after="logging.getLogger('shop').info('paid')", debug=False)
    assert strict_json(python(f"import logging\n{before}\n{code}").rstrip("\n"))["tenant"] == "acme"


def test_structlog_formatter_with_our_processor_needs_no_word() -> None:
    before = """
import structlog
from obs_middleware.logs import StructlogProcessor
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(structlog.stdlib.ProcessorFormatter(
    foreign_pre_chain=[StructlogProcessor()], processor=structlog.processors.JSONRenderer()))
logging.root.addHandler(handler)
logging.root.setLevel("INFO")
"""
    assert strict_json(printed(before=before).rstrip("\n"))["event"] == "paid"
