"""Compiled ways for the common request, where they could be built; the Python code says what they do.

`obs_middleware._native` and those of `obs_asgi`, `obs_wsgi` and `obs_django` are made of the C in `native/` when the
package is built, if there is a C compiler. A function marked `compiled` is called there first, which leaves whatever is
not common to the Python function. `OBS_PURE_PYTHON=1` in the environment turns them off.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
_K = TypeVar("_K", bound=type)

SWITCH = "OBS_PURE_PYTHON"
_is_wanted = os.environ.get(SWITCH, "") in ("", "0")


class Native:
    """A compiled module, or its absence.

    Args:
        name: the module's.
    """

    def __init__(self, name: str) -> None:
        self._module: Any = None
        if _is_wanted:
            try:
                self._module = import_module(name)
            except ImportError:  # no compiler when it was installed, or an interpreter that it does not serve
                return

    @property
    def is_built(self) -> bool:
        """Tell whether there is a compiled module."""
        return self._module is not None

    @property
    def is_in_use(self) -> bool:
        """Tell whether requests take the compiled ways."""
        return self._module is not None and self._module.is_ready()

    def compiled(self, function: _F) -> _F:
        """Return the function with its compiled way before it."""
        if self._module is None:
            return function
        try:
            return self._module.compiled(function)  # type: ignore[no-any-return]
        except LookupError:  # a module that was compiled for another version
            return function

    def laid_out(self, kind: _K) -> _K:
        """Tell where a class keeps its fields."""
        self.learn(**{kind.__name__: kind})
        return kind

    def learn(self, **values: Any) -> None:
        """Tell what else the functions need, by name; a class that is not as they know it leaves them unused."""
        if self._module is None:
            return
        try:
            self._module.learn(**values)
        except (AttributeError, LookupError, TypeError):
            return

    def seed(self, *numbers: int) -> None:
        """Begin another row of random IDs."""
        if self._module is not None:
            self._module.seed(*numbers)


core = Native("obs_middleware._native")
