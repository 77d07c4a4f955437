"""The servers, for all tests of this folder; an app's event loop and a proxy, for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.ready_made.kinds import Loop, app_loop
from tests.real.ready_made.servers import Servers, running


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with running() as found:
        yield found


@pytest.fixture
def loop() -> Iterator[Loop]:
    with app_loop() as made:
        yield made
