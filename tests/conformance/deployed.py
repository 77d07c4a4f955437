"""The probe apps by name, as a server in production imports them: `uvicorn tests.conformance.deployed:fastapi`."""

from __future__ import annotations

from typing import Any

from tests.conformance.front_ends import FRONT_ENDS


def __getattr__(name: str) -> Any:
    """Make the named app with one line of ours and no setting."""
    for front_end in FRONT_ENDS:
        if front_end.name == name:
            return front_end.make_app(None)
    raise AttributeError(name)
