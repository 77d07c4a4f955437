"""An exception's stack as Python prints it, also of exceptions that the module `traceback` fails for."""

from __future__ import annotations

import traceback

_MESSAGE_CHARACTERS = 256


def stack_of(error: BaseException, *, message: str, shown: str) -> str:
    """Return the stack.

    Args:
        message: the exception's text; where it is long, the stack has its begin alone, because it stands beside.
        shown: that begin.
    """
    try:
        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # of a SyntaxError with odd details, which template engines make
        stack = f"{_frames(error)}{type(error).__qualname__}: {message}\n"
    return stack.replace(message, shown) if is_long(message) else stack


def is_long(message: str) -> bool:
    """Tell whether a text is so long that it is to be there once."""
    return len(message) > _MESSAGE_CHARACTERS


def _frames(error: BaseException) -> str:
    try:
        frames = "".join(traceback.format_tb(error.__traceback__))
    except Exception:
        return ""
    return f"Traceback (most recent call last):\n{frames}" if frames else ""
