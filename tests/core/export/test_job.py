"""A batch job exports at its end, however it ends, and nothing of that changes how it ends."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest

from obs_middleware import Observer
from obs_middleware.export import Collected, Textfile, exporters, schedule
from tests.core.export.receiving import Own
from tests.core.support import caught, observer


def values(collected: Collected) -> dict[str, float]:
    return {
        family.name: family.samples[0].value
        for family in collected.families
        if family.name.startswith("obs_job_")
    }


def exported(exporter: Own) -> Collected:
    (collected,) = exporter.got
    return collected


def test_a_job_that_goes_well_says_when_and_how_long_it_took() -> None:
    own, exporter = observer(), Own()
    own.exporters.add(exporter)
    rows = own.metrics.counter("rows", "Rows.")
    before = time.time()
    with own.exporters.job("nightly"):
        rows.inc(7)
        time.sleep(0.02)
    collected = exported(exporter)
    found = values(collected)
    assert found["obs_job_duration_seconds"] >= 0.02
    assert found["obs_job_last_success_timestamp_seconds"] >= before
    assert "obs_job_last_failure_timestamp_seconds" not in found
    assert collected.job == "nightly"
    assert not collected.is_running
    assert b"rows_total 7.0" in collected.text()
    assert b'obs_job_duration_seconds{job_name="nightly"}' in collected.text()


def test_a_job_of_an_app_that_goes_on_does_not_say_that_it_has_ended() -> None:
    own, exporter = observer(), Own()
    own.exporters.start()
    with own.exporters.job("nightly"):
        own.exporters.add(exporter)
    assert next(collected for collected in exporter.got if collected.job).is_running
    own.close()


def test_a_job_that_fails_says_so_and_its_exception_goes_on() -> None:
    own, exporter = observer(), Own()
    own.exporters.add(exporter)
    with pytest.raises(LookupError), own.exporters.job("nightly"):
        raise LookupError
    found = values(exported(exporter))
    assert "obs_job_last_failure_timestamp_seconds" in found
    assert "obs_job_last_success_timestamp_seconds" not in found


@pytest.mark.parametrize(
    ("code", "end"), [(0, "success"), (None, "success"), (3, "failure"), ("bad", "failure")]
)
def test_a_job_that_leaves_by_sys_exit_ends_as_its_code_says(code: object, end: str) -> None:
    own, exporter = observer(), Own()
    own.exporters.add(exporter)
    with pytest.raises(SystemExit), own.exporters.job("nightly"):
        sys.exit(code)  # type: ignore[arg-type]
    assert f"obs_job_last_{end}_timestamp_seconds" in values(exported(exporter))


def test_an_async_job_exports_beside_its_event_loop() -> None:
    own, free, was_free = observer(), threading.Event(), list[bool]()
    exporter = Own(do=lambda: was_free.append(free.wait(5)))
    own.exporters.add(exporter)

    async def main() -> None:
        async with own.exporters.job("nightly"):
            asyncio.get_running_loop().call_later(0.02, free.set)

    asyncio.run(main())
    assert "obs_job_last_success_timestamp_seconds" in values(exported(exporter))
    assert was_free == [True]


def test_an_export_that_fails_is_tried_again_and_never_fails_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_FIRST_RETRY_SECONDS", 0.01)
    left = [2]

    def fail_twice() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError

    own, flaky = observer(), Own(do=fail_twice)
    own.exporters.add(flaky)
    with caught("obs"), own.exporters.job("nightly"):
        pass
    assert len(flaky.got) == 3
    left[0] = 1000
    with caught("obs"), own.exporters.job("nightly"):
        pass
    assert len(flaky.got) == 6


def test_a_job_that_nobody_learns_of_is_logged() -> None:
    with caught("obs") as lines, observer().exporters.job("nightly"):
        pass
    assert lines.lines == ["job nightly: nobody learns of it, because no exporter was added"]


def test_a_job_does_not_wait_for_ever_for_an_export_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "_PUSH_SECONDS", 0.05)
    own, free = observer(), threading.Event()
    own.exporters.add(Own(do=lambda: free.wait(20)))
    with caught("obs") as lines, own.exporters.job("nightly"):
        pass
    assert lines.lines == ["exports have not ended after 0.05 s, and nobody waits for them"]
    free.set()


def lines_of(file: Path, word: str) -> list[str]:
    return [line for line in file.read_text().splitlines() if word in line]


def run(own: Observer, *, fails: bool = False) -> None:
    try:
        with own.exporters.job("nightly"):
            if fails:
                raise LookupError
    except LookupError:
        pass


def test_a_textfile_keeps_when_the_job_went_well_last(tmp_path: Path) -> None:
    file = tmp_path / "nightly.prom"

    def one(*, fails: bool = False) -> list[str]:
        own = observer(service_name="shop")
        own.exporters.add(Textfile(file))
        run(own, fails=fails)
        return lines_of(file, "last_success")

    assert one(fails=True) == []
    well = one()
    assert len(well) == 3
    assert one(fails=True) == well
    assert one(fails=True) == well
    assert len(lines_of(file, "last_failure")) == 3
    assert one() != well
