"""The wheel and the source distribution: all that belongs is in, typed, and imports with nothing else installed."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from tests import installed
from tests.installed import ROOT, has_compiler

ADAPTERS = sorted(folder.parent.name for folder in (ROOT / "adapters").glob("*/__init__.py"))
EXTRAS = {"asgi", "fastapi", "flask", "django", "tracing", "otlp", "dev", "all"}
FOREIGN = "opentelemetry.sdk opentelemetry.exporter starlette fastapi flask werkzeug django asgiref uvicorn gunicorn"


def names() -> list[str]:
    """Return the names of all files in the wheel."""
    return zipfile.ZipFile(installed.wheel()).namelist()


def metadata() -> Message:
    archive = zipfile.ZipFile(installed.wheel())
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def bare() -> Path:
    """The Python of an environment that holds the wheel and its own dependencies alone."""
    python = installed.empty_environment("bare")
    installed.install(python, str(installed.wheel()))
    return python


def test_every_adapter_is_in_the_wheel_and_typed() -> None:
    """A folder of `adapters/` that pyproject.toml forgets would be missing only for users."""
    assert len(ADAPTERS) >= 4
    for package in ("obs_middleware", *ADAPTERS):
        assert f"{package}/__init__.py" in names()
        assert f"{package}/py.typed" in names()


def test_every_source_file_is_in_the_wheel_and_nothing_else() -> None:
    """No tests, no examples, no caches."""
    sources = {
        str(path.relative_to(base))
        for base, pattern in ((ROOT, "obs_middleware/**/*"), (ROOT / "adapters", "*/**/*"))
        for path in base.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("_native.")
    }
    assert {name for name in names() if ".dist-info/" not in name and "/_native." not in name} == sources


def test_the_script_obs_middleware_runs_the_commands() -> None:
    archive = zipfile.ZipFile(installed.wheel())
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert "obs-middleware = obs_middleware.__main__:main" in archive.read(name).decode()


def test_the_compiled_request_path_is_in_the_wheel() -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    native = {name for name in names() if "/_native." in name}
    if has_compiler():
        assert native == {f"obs_middleware/_native{suffix}"}
        assert f"cp{sys.version_info[0]}{sys.version_info[1]}-" in installed.wheel().name
    else:
        assert not native
        assert installed.wheel().name.endswith("-py3-none-any.whl")


def test_the_source_distribution_holds_what_a_packager_needs() -> None:
    """The wheel is built from it, so the sources are complete; licence, changelog and tests are there too."""
    with tarfile.open(installed.sdist()) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "tests/project/test_packaging.py",
    } <= held
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "native").iterdir()}
    assert {"hatch_build.py", *sources} <= held
    assert not [name for name in held if re.search(r"__pycache__|\.venv|_cache/|\.sqlite3|\.egg-info", name)]


def test_the_extras_are_there() -> None:
    assert set(metadata().get_all("Provides-Extra", [])) >= EXTRAS


def test_a_plain_install_asks_for_no_framework_and_no_sdk() -> None:
    wanted = [line for line in metadata().get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {re.split(r"[<>=!~; ]", line)[0] for line in wanted} == {
        "msgspec",
        "opentelemetry-api",
        "prometheus-client",
        "python-json-logger",
    }
    assert not [line for line in wanted if "<" in line or "==" in line], "lower bounds only"


def test_the_licence_is_told_and_shipped() -> None:
    assert metadata()["License-Expression"] == "Apache-2.0"
    assert metadata()["Requires-Python"] == ">=3.10"
    assert [name for name in names() if name.endswith("LICENSE")]


@pytest.mark.parametrize("package", ["obs_middleware", "obs_asgi", "obs_wsgi"])
def test_a_bare_install_imports(bare: Path, package: str) -> None:
    """The core and the two adapters of the protocols need nothing that is not installed with them."""
    printed = installed.run(bare, "-c", f"import {package}; print({package}.__file__)")
    assert "site-packages" in printed


@pytest.mark.parametrize(("package", "extra"), [("obs_flask", "flask"), ("obs_django", "django")])
def test_an_adapter_without_its_framework_names_the_cure(bare: Path, package: str, extra: str) -> None:
    done = subprocess.run([bare, "-c", f"import {package}"], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"pip install 'obs-middleware[{extra}]'" in done.stderr.splitlines()[-1]


def test_an_otlp_endpoint_without_the_exporter_names_the_cure(bare: Path) -> None:
    """At start, and not when the first span is due."""
    code = "import obs_wsgi; obs_wsgi.ObservabilityMiddleware(print)"
    done = subprocess.run(
        [bare, "-c", code],
        env=installed.clean() | {"OTLP_ENDPOINT": "http://localhost:4318"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "pip install 'obs-middleware[otlp]'" in done.stderr.splitlines()[-1]


def test_a_bare_install_serves(bare: Path) -> None:
    """A raw WSGI app with nothing but the wheel: the ID, the page and the log are there."""
    code = """if True:
        from wsgiref.util import setup_testing_defaults
        from obs_wsgi import ObservabilityMiddleware
        def app(environ, start_response):
            start_response("200 OK", [])
            return [b"hello"]
        app = ObservabilityMiddleware(app)
        for path in ("/", "/metrics"):
            environ = {"PATH_INFO": path}
            setup_testing_defaults(environ)
            body = app(environ, lambda status, headers: print(status, headers))
            print(b"".join(body))
            getattr(body, "close", int)()
    """
    printed = installed.run(bare, "-c", code)
    assert "X-Request-ID" in printed
    assert '"logger":"obs.access"' in printed
    assert "http_server_request_duration_seconds_count" in printed


@pytest.mark.parametrize("package", ["obs_middleware", "obs_asgi", "obs_wsgi"])
def test_an_import_pulls_in_no_framework_and_no_sdk(package: str) -> None:
    """Also where all of them are installed, as they are here."""
    code = f"import sys, {package}; print([name for name in {FOREIGN.split()!r} if name in sys.modules])"
    path = f"{ROOT}:{ROOT / 'adapters'}"
    assert installed.run(sys.executable, "-c", code, PYTHONPATH=path).strip() == "[]"


USER = """\
from obs_asgi import ObservabilityMiddleware
from obs_middleware import Observer, current_exchange
from obs_wsgi import ObservabilityMiddleware as Wsgi

observer = Observer(service_name="shop")
exchange = current_exchange()
reveal_type(exchange)
reveal_type(observer.health.check("database"))
Wsgi(print, observer)
observer.health.add("database", 5)
observer.nothing_of_the_kind
"""


def test_a_type_checker_sees_the_types(bare: Path, tmp_path: Path) -> None:
    """Of the installed wheel, and in strict mode: what is right passes, what is wrong is an error."""
    (tmp_path / "user.py").write_text(USER)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        bare,
        "--no-incremental",
        "user.py",
    ]
    done = subprocess.run(
        list(map(str, command)),
        cwd=tmp_path,
        env=installed.clean(),
        capture_output=True,
        text=True,
        timeout=100,
    )
    found = "\n".join(line for line in done.stdout.splitlines() if line.startswith("user.py"))
    assert 'Revealed type is "obs_middleware.exchange.Exchange | None"' in found.replace(
        "Union[", ""
    ).replace("obs_middleware.exchange.Exchange, None]", "obs_middleware.exchange.Exchange | None")
    assert '"Observer" has no attribute "nothing_of_the_kind"' in found
    assert 'user.py:10: error: Argument 2 to "add" of "Health"' in found
    assert "import-untyped" not in found
    assert "import-not-found" not in found
