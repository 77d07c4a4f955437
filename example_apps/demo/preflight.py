"""Look before anything is started: are the packages there, are the ports free?"""

import importlib.util
import socket
from collections.abc import Mapping

from example_apps.demo.errors import CannotStart

EXTRA_OF_PACKAGE = {
    "obs_asgi": "dev",
    "prometheus_client": "dev",
    "opentelemetry": "dev",
    "starlette": "asgi",
    "fastapi": "fastapi",
    "flask": "flask",
    "django": "django",
    "httpx": "dev",
    "uvicorn": "dev",
    "gunicorn": "dev",
    "wasmtime": "dev",
}


def check_packages() -> None:
    """Raise CannotStart if a package that the demo needs is not installed."""
    missing = [package for package in EXTRA_OF_PACKAGE if not _is_installed(package)]
    if not missing:
        return
    extras = {EXTRA_OF_PACKAGE[package] for package in missing}
    wanted = "dev" if "dev" in extras else ",".join(sorted(extras))
    raise CannotStart(
        f"not installed: {', '.join(missing)}. The cure: pip install 'obs-middleware[{wanted}]'"
    )


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise CannotStart if the port of a service is taken."""
    for name, port in ports.items():
        if not _is_free(port):
            raise CannotStart(
                f"port {port}, which {name} needs, is in use. Choose four other ports in a row,"
                f" for example: --port-base {_other_base(min(ports.values()))}"
            )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _other_base(base: int) -> int:
    """Give the next base whose ports are free."""
    candidates = range(base + 100, 65_000, 100)
    return next((other for other in candidates if all(map(_is_free, range(other, other + 4)))), 20_000)
