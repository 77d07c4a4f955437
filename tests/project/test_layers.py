"""Imports run down the floors of docs/architecture.md only, never up, never in a circle."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "obs_middleware"
ADAPTERS = ROOT / "adapters"

# From the ground up; a package stands for all that is in it. A room may import those on its own floor and below.
FLOORS = (
    {
        "_speedups",
        "app_target",
        "around",
        "background",
        "callers",
        "deadline",
        "encodable",
        "environ",
        "errors",
        "details",
        "exchange",
        "exclusion",
        "flush_lock",
        "first_names",
        "fork_lock",
        "label_names",
        "headers",
        "late_status",
        "losses",
        "other_ids",
        "process",
        "protobuf",
        "proxies",
        "queue",
        "record",
        "redaction",
        "reply",
        "request",
        "request_id",
        "resource",
        "scope",
        "settings",
        "sigterm",
        "statements",
        "tenancy",
        "views",
        "wrapping",
    },
    {"initialiser", "lifecycle", "ops", "workers"},
    {"events", "export", "health", "logs", "metrics", "tracing"},
    {"gateway", "hand_over"},
    {"observer"},
    {"cli", "testing"},
    {"__init__", "__main__"},
)
# Rooms that stand alone: each imports the floors below it, and no other room.
ROOMS = ("events", "export", "health", "logs", "metrics", "ops", "tracing")
ADAPTERS_MAY_IMPORT = {"obs_middleware", "obs_middleware.gateway"}
FOR_TYPES_ALONE = {"typing_extensions"}
CORE_MAY_USE = {"msgspec", "opentelemetry", "prometheus_client", "pythonjsonlogger"}
ADAPTER_MAY_USE = {
    "obs_asgi": {"starlette", "fastapi"},
    "obs_django": {"django", "asgiref"},
    "obs_flask": {"flask", "werkzeug", "obs_wsgi", "obs_asgi"},
    "obs_wsgi": set[str](),
}


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def name_of(module: Path) -> str:
    """Return the dotted name: obs_middleware.logs.setup, obs_middleware.logs."""
    parts = module.relative_to(ADAPTERS if module.is_relative_to(ADAPTERS) else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: Path) -> Iterator[str]:
    """Yield every module that is imported anywhere in the file, also for types alone and inside functions."""
    yield from imported(ast.parse(module.read_text(encoding="utf-8")))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (resolved(node.module or "", alias.name) for alias in node.names)


def resolved(module: str, name: str) -> str:
    path = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else module


def room(name: str) -> str:
    """Return the part of the core that a module belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(name) in rooms)


def foreign_packages(module: Path) -> set[str]:
    """Return the packages that are neither the core's, nor the module's own, nor Python's."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    for_types = {name for block in blocks for name in imported(block)} & FOR_TYPES_ALONE
    for block in blocks:
        block.body = []
    at_runtime = set(imported(tree))
    packages = {name.partition(".")[0] for name in {*imports(module)} - (for_types - at_runtime)}
    return packages - {"obs_middleware", name_of(module).partition(".")[0]} - sys.stdlib_module_names


def own_imports(module: Path) -> list[str]:
    return [name for name in imports(module) if name.partition(".")[0] == "obs_middleware"]


@pytest.mark.parametrize("module", modules(CORE), ids=name_of)
def test_every_room_of_the_core_has_its_floor(module: Path) -> None:
    assert any(room(name_of(module)) in rooms for rooms in FLOORS)


@pytest.mark.parametrize("module", modules(CORE), ids=name_of)
def test_core_imports_down_its_floors_only(module: Path) -> None:
    here = name_of(module)
    up = [name for name in own_imports(module) if floor(name) > floor(here)]
    assert not up, f"{here} imports {up} from a floor above"


@pytest.mark.parametrize("module", modules(CORE), ids=name_of)
def test_no_room_imports_another(module: Path) -> None:
    here = room(name_of(module))
    if here in ROOMS:
        others = {name for name in own_imports(module) if room(name) in ROOMS} - {here, "ops"}
        assert not {room(name) for name in others} - {here, "ops"}, f"{name_of(module)} imports {others}"


@pytest.mark.parametrize("module", modules(ADAPTERS), ids=name_of)
def test_adapters_import_the_package_and_its_gateway_alone(module: Path) -> None:
    assert set(own_imports(module)) <= ADAPTERS_MAY_IMPORT


@pytest.mark.parametrize("folder", [CORE, *(path.parent for path in ADAPTERS.glob("*/__init__.py"))], ids=str)
def test_nothing_imports_in_a_circle(folder: Path) -> None:
    graph = {name_of(module): set(imports(module)) for module in modules(folder)}
    while leaves := [name for name, imported in graph.items() if not imported & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"these import each other: {sorted(graph)}"


@pytest.mark.parametrize("module", modules(CORE), ids=name_of)
def test_core_imports_no_framework_and_no_adapter(module: Path) -> None:
    assert foreign_packages(module) <= CORE_MAY_USE


@pytest.mark.parametrize("module", modules(ADAPTERS), ids=name_of)
def test_adapter_imports_the_core_and_its_own_framework_only(module: Path) -> None:
    assert foreign_packages(module) <= ADAPTER_MAY_USE[name_of(module).partition(".")[0]]
