"""The tests mirror the source: whoever looks for the test of a module finds it by its name, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installed import ROOT

CORE = ROOT / "obs_middleware"
ADAPTERS = ROOT / "adapters"
TESTS = ROOT / "tests"

# Tests of the core that no module has the name of, and what they test.
NAMED_OTHERWISE = {
    "core/test_imports.py": "__init__.py",  # what an import brings along, and the public names
    "core/logs/formatters/test_json_options.py": "logs/formatters/json.py",  # python-json-logger's options alone
    "core/logs/test_structured_secrets.py": "logs/json_value.py",  # secrets in extras of every shape
    "core/test_jobs.py": "observer.py",  # processes without requests: `start` and `continue_trace`
    "core/health/test_groups.py": "health/registry.py",  # groups and single checks, at their paths
    "core/redaction/test_corpus.py": "redaction/redactor.py",  # the rates of what comes out and what is changed
    "core/redaction/test_linear.py": "redaction/redactor.py",  # hostile texts, against all patterns together
    "adapters/test_asgi_stack.py": "obs_asgi/middleware.py",  # its place around Starlette's stack
    "adapters/test_asgi_mounts.py": "obs_asgi/middleware.py",  # around one mount alone
    "adapters/test_asgi_same_behaviour.py": "obs_asgi/middleware.py",  # odd apps, bare and observed
    "adapters/test_closing.py": "gateway.py",  # `Connection: close` while a service drains
    "adapters/test_django_health.py": "obs_django/management/commands/obs_health.py",
    "adapters/test_exporters.py": "export/exporters.py",  # when an adapter says that an app serves
    "adapters/test_two_of_us.py": "around.py",  # two adapters around one request
    "adapters/test_django_odd.py": "obs_django/middleware.py",  # odd requests, shared responses, copies
    "adapters/test_flask_apps_in_apps.py": "obs_flask/extension.py",  # Flask below bridges and dispatchers
    "adapters/test_wsgi_answers.py": "obs_wsgi/response.py",  # who answers an exception
    "adapters/test_wsgi_odd.py": "obs_wsgi/middleware.py",  # odd environs and statuses
    "adapters/test_wsgi_websockets.py": "obs_wsgi/websocket.py",
}
# Modules without a test file of their own, and the files that test them, since nobody calls them but by another module.
TESTED_ELSEWHERE = {
    "_speedups.py": "native/test_layout.py",  # which functions are off, where C is built
    "__main__.py": "core/cli/test_commands.py",
    "app_target.py": "core/health/test_command.py",  # what module:app names
    "cli/arguments.py": "core/cli/test_commands.py",
    "cli/doctor/access.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/address.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/command.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/finding.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/internals.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/metrics_page.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/page.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/planted_secret.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/probes.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/propagation.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/report.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/request_ids.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/series.py": "core/cli/doctor/test_checks.py",
    "cli/doctor/session.py": "core/cli/doctor/test_checks.py",
    "cli/lint/metrics.py": "core/cli/lint/test_command.py",
    "cli/lint/promql.py": "core/cli/lint/test_command.py",
    "cli/lint/queries.py": "core/cli/lint/test_command.py",
    "cli/rules/burn_rate.py": "core/cli/rules/test_command.py",
    "cli/rules/objectives.py": "core/cli/rules/test_command.py",
    "cli/rules/objectives_file.py": "core/cli/rules/test_command.py",
    "cli/rules/promtool_tests.py": "core/cli/rules/test_command.py",
    "cli/rules/yaml_text.py": "core/cli/rules/test_command.py",
    "callers.py": "adapters/test_wsgi_answers.py",  # who stands around shows in who answers
    "export/collected.py": "core/export/test_exporters.py",  # a value; its texts are seen in the files
    "export/otlp_points.py": "core/export/test_otlp_metrics.py",
    "health/cutting.py": "real/ready_made/test_connections.py",  # databases and proxies that stand still
    "health/drain.py": "core/test_lifecycle.py",
    "health/hysteresis.py": "core/health/test_checks.py",
    "health/surroundings.py": "core/health/test_event_loops.py",
    "health/ready_made/brokers.py": "real/ready_made/test_queues.py",  # the real servers
    "health/ready_made/databases.py": "real/ready_made/test_connections.py",
    "health/ready_made/event_loop.py": "core/health/ready_made/test_machine.py",
    "health/ready_made/stores.py": "real/ready_made/test_connections.py",
    "hand_over.py": "core/test_sigterm.py",  # what is handed over while a process ends
    "initialiser.py": "core/test_lifecycle.py",
    "logs/file_descriptor.py": "core/logs/test_outputs.py",  # whole lines on pipes
    "logs/found.py": "core/logs/test_setup.py",  # what is found shows in what is set up
    "logs/sentry.py": "core/logs/test_neighbours.py",
    "logs/servers.py": "core/logs/test_setup.py",
    "logs/structlog_event.py": "core/logs/test_neighbours.py",
    "logs/access_plan.py": "core/logs/test_access_line.py",  # a plan is seen in the line alone
    "logs/fields.py": "core/logs/test_access_line.py",  # so are the fields
    "logs/formatters/redacted_record.py": "core/logs/formatters/test_json_options.py",
    "metrics/exposition/client_readers.py": "core/metrics/exposition/test_client_classes.py",
    "losses.py": "core/metrics/test_self_telemetry.py",  # what is lost shows on the page
    "metrics/cumulative.py": "core/metrics/test_runtime.py",  # a shape of histograms that pauses and lags have
    "metrics/gc_pauses.py": "core/metrics/test_runtime.py",
    "metrics/thread_pools.py": "core/metrics/test_runtime.py",
    "metrics/options.py": "core/metrics/test_declared.py",  # what a declaration takes
    "metrics/instrument.py": "core/metrics/test_plan.py",  # a value, read by the page
    "metrics/semconv.py": "core/metrics/test_plan.py",  # names alone
    "metrics/exposition/cell_families.py": "core/metrics/test_worker_metrics.py",  # seen on a page of several workers
    "metrics/exposition/shared.py": "core/metrics/test_worker_metrics.py",
    "metrics/published.py": "core/metrics/test_worker_metrics.py",
    "metrics/series_bound.py": "core/metrics/test_bounded.py",
    "metrics/table_storage.py": "core/metrics/test_worker_metrics.py",
    "metrics/places.py": "core/metrics/test_worker_metrics.py",
    "metrics/replaced_values.py": "core/metrics/test_worker_metrics.py",
    "metrics/values.py": "core/metrics/test_worker_metrics.py",
    "ops/refusals.py": "core/ops/test_access.py",  # who was refused shows in the answers
    "protobuf.py": "core/tracing/otlp/test_encoder.py",  # compared with the SDK's bytes
    "redaction/bounds.py": "core/redaction/test_pairs.py",  # where a value ends is seen in what is left of a text
    "redaction/columns.py": "core/redaction/test_pairs.py",
    "redaction/judge.py": "core/redaction/test_pairs.py",
    "reply.py": "core/ops/test_endpoints.py",  # a value without behaviour
    "request.py": "core/test_scope.py",  # a value; scope.py and environ.py make it
    "workers/archive.py": "core/workers/test_service.py",  # what is left of members that have died
    "workers/calls.py": "core/workers/test_service.py",
    "workers/exact_sum.py": "core/workers/test_merge.py",  # a merge's sums
    "workers/family.py": "core/workers/test_merge.py",
    "workers/locks.py": "core/workers/test_directory.py",
    "workers/names.py": "core/workers/test_merge.py",  # names alone
    "workers/reader.py": "core/workers/test_cells.py",
    "workers/tables.py": "core/workers/test_service.py",  # requests over all members
    "resource.py": "core/tracing/test_provider.py",
    "settings/origins.py": "core/cli/test_settings.py",
    "tracing/attributes.py": "core/tracing/test_server_span.py",
    "tracing/propagators.py": "core/tracing/test_propagation.py",
    "tracing/recording_tracer.py": "core/tracing/test_recording_span.py",
}
WHY = "no module has its name: name it after the module that it tests, or give a reason in NAMED_OTHERWISE"


def files_in(folder: str) -> list[str]:
    return sorted(str(path.relative_to(TESTS)) for path in (TESTS / folder).rglob("test_*.py"))


def modules(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*.py") if path.name != "__init__.py"
    )


def core_test(module: str) -> str:
    """Return the test file of a module of the core."""
    path = Path(module)
    return str(Path("core", path.parent, f"test_{path.name}"))


def adapter_tests() -> set[str]:
    """Return the names that a test file of an adapter may have: of a package, or of a module in it."""
    packages = [path for path in ADAPTERS.glob("obs_*") if path.is_dir()]
    names = {package: package.name.removeprefix("obs_") for package in packages}
    whole = {f"adapters/test_{name}.py" for name in names.values()}
    return whole | {
        f"adapters/test_{name}_{path.stem}.py"
        for package, name in names.items()
        for path in package.glob("*.py")
    }


@pytest.mark.parametrize("module", modules(CORE))
def test_every_module_of_the_core_has_its_test_file(module: str) -> None:
    tests = TESTED_ELSEWHERE.get(module, core_test(module))
    assert (TESTS / tests).is_file(), f"{module} has no {tests}"


@pytest.mark.parametrize("tests", files_in("core"))
def test_every_test_file_of_the_core_is_named_after_a_module(tests: str) -> None:
    assert tests in NAMED_OTHERWISE or tests in set(map(core_test, modules(CORE))), WHY


@pytest.mark.parametrize("tests", files_in("adapters"))
def test_every_test_file_of_an_adapter_is_named_after_it(tests: str) -> None:
    assert tests in NAMED_OTHERWISE or tests in adapter_tests(), WHY


@pytest.mark.parametrize("package", sorted(path.name for path in ADAPTERS.glob("obs_*")))
def test_every_adapter_has_its_test_file(package: str) -> None:
    assert (TESTS / "adapters" / f"test_{package.removeprefix('obs_')}.py").is_file()


def test_exceptions_are_needed() -> None:
    for tests, module in NAMED_OTHERWISE.items():
        assert (TESTS / tests).is_file()
        assert (CORE / module).is_file() or (ADAPTERS / module).is_file()
    for module in TESTED_ELSEWHERE:
        assert (CORE / module).is_file()
        assert not (TESTS / core_test(module)).exists(), f"{module} has its own test file now"
