"""Which fast ways are taken stands on the metrics page."""

from __future__ import annotations

from obs_middleware import _speedups
from tests.core.support import observer


def test_what_is_on_and_off_is_on_the_metrics_page() -> None:
    own = observer(log_setup=False)
    for is_on in (True, False):
        _speedups.note("made up", is_on)
        assert own.registry.get_sample_value("obs_fast_path", {"name": "made up"}) == is_on
    _speedups._noted.pop("made up")
    is_on = own.registry.get_sample_value("obs_fast_path", {"name": "http"}) == 1
    assert is_on == _speedups.paths()["http"]
