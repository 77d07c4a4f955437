"""Werkzeug's response bodies: which of them hold chunks that are all there.

Werkzeug wraps the chunks of every response into an iterator that also closes the response, so that a list looks like a
stream. Private attributes tell them apart, which are read here and nowhere else in this adapter. Where they are not as
expected, the body is taken for a stream, which is right for every body. So it is where the app has a hand in the body
or its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from obs_middleware.gateway import note

note("flask_bodies", hasattr(ClosingIterator(()), "_callbacks") and hasattr(Response(), "_on_close"))

_SEQUENCES = (list, tuple)  # and no subclass, whose iterator may be anything


def ready_body(body: Iterable[bytes]) -> Sequence[bytes] | None:
    """Return the chunks of a body that runs no code of the app, neither as it is read nor as it is closed; or None.

    Such a body is read at once, inside its exchange, which need not become current for each piece and for the end.
    """
    if type(body) is not ClosingIterator:
        return None
    try:
        closing: Any = body._callbacks
        # What encodes the chunks, a generator, and the response; the response alone where no body may follow.
        encoder, response = closing[0].__self__, closing[-1].__self__
        is_ready = (
            (encoder is response or encoder.__name__ == "_iter_encoded")
            and type(response).iter_encoded is Response.iter_encoded
            and type(response).close is Response.close
            and type(response.response) in _SEQUENCES
            and not response._on_close
        )
    except (AttributeError, IndexError):  # another middleware's, perhaps around Werkzeug's
        return None
    if not is_ready:
        return None
    return list(body if encoder is response else encoder)  # what the body reads from itself
