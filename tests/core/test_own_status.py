"""Which exceptions stand for a response of their own."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.exceptions import HTTPException as StarletteException
from werkzeug.exceptions import HTTPException as WerkzeugException
from werkzeug.exceptions import NotFound, abort

from obs_middleware.gateway import own_status


def raised(function: Any, *args: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        function(*args)
    return caught.value


class Problem(Exception):
    """As Connexion's."""

    __module__ = "connexion.exceptions"

    status = 403


class FalconError(Exception):
    """As Falcon's, whose status is text."""

    __module__ = "falcon.errors"

    status = "409 Conflict"


class OfAClient(Exception):
    """As HTTP clients have them: the status is that of somebody else's response."""

    status_code = code = status = 404


class App(Exception):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Stand for a response, as werkzeug's exceptions do."""


class Mine(StarletteException):
    pass


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound(), 404),
        (raised(abort, 418), 418),
        (WerkzeugException(), 0),
        (StarletteException(413), 413),
        (Mine(404), 404),
        (Problem(), 403),
        (FalconError(), 409),
        (App(), 0),
        (StopIteration(), 0),
        (StopAsyncIteration(), 0),
        (GeneratorExit(), 0),
        (ValueError(), None),
        (OfAClient(), None),
        (KeyboardInterrupt(), None),
    ],
)
def test_status_that_an_exception_stands_for(error: BaseException, status: int | None) -> None:
    assert own_status(error) == status
