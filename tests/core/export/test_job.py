"""A batch job exports at its end, however it ends, and nothing of that changes how it ends."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from obs_middleware import Observer
from obs_middleware.export import Collected, Textfile, exporters, job, schedule
from tests.core.export.receiving import Own
from tests.core.support import caught, eventually, observer, python


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
    exporter = Own(do=lambda: was_free.append(free.wait(60)))
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
    own.exporters.add(Own(do=lambda: free.wait(60)))
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


def jobs_of(collected: Collected, end: str = "success") -> dict[str, float]:
    """Return when each job last ended so."""
    found = [
        family for family in collected.families if family.name == f"obs_job_last_{end}_timestamp_seconds"
    ]
    assert len(found) <= 1
    return {sample.labels["job_name"]: sample.value for family in found for sample in family.samples}


def test_what_jobs_have_said_stays_in_later_exports() -> None:
    own, exporter = observer(), Own(0.05)
    own.exporters.add(exporter)
    run(own)
    own.exporters.start()
    with own.exporters.job("weekly"):
        pass
    run(own, fails=True)
    count = len(exporter.got)
    eventually(lambda: len(exporter.got) > count)
    own.close()
    for collected in exporter.got[count:]:
        assert jobs_of(collected).keys() == {"nightly", "weekly"}
        assert jobs_of(collected, "failure").keys() == {"nightly"}
        assert collected.job is None


def test_a_job_that_runs_again_has_its_last_end_alone() -> None:
    own, exporter = observer(), Own()
    own.exporters.add(exporter)
    for _ in range(2):
        run(own)
    first, last = (jobs_of(collected) for collected in exporter.got)
    assert first["nightly"] < last["nightly"]


def test_jobs_of_ever_new_names_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "KEPT", 3)
    own, exporter = observer(), Own()
    own.exporters.add(exporter)
    for name in ("a", "b", "c", "a", "d"):
        with own.exporters.job(name):
            pass
    assert jobs_of(exporter.got[-1]).keys() == {"c", "a", "d"}


def test_a_textfile_keeps_a_job_of_an_earlier_process_in_an_app_that_is_served(tmp_path: Path) -> None:
    file = tmp_path / "shop.prom"
    earlier = observer(service_name="shop")
    earlier.exporters.add(Textfile(file))
    run(earlier)
    (well,) = lines_of(file, "last_success_timestamp_seconds{")
    later = observer(service_name="shop")
    later.exporters.add(Textfile(file))
    assert later.exporters.push()
    assert lines_of(file, "last_success_timestamp_seconds{") == [well]
    run(later, fails=True)
    assert lines_of(file, "last_success_timestamp_seconds{") == [well]
    with later.exporters.job("weekly"):
        pass
    assert later.exporters.push()
    both = lines_of(file, "last_success_timestamp_seconds{")
    assert well in both
    assert len(both) == 2
    assert len(lines_of(file, "# TYPE obs_job_last_success")) == 1
    families = list(text_string_to_metric_families(file.read_text()))
    assert len({family.name for family in families}) == len(families)
    run(later)
    assert well not in file.read_text()


def test_a_forked_child_has_not_run_the_jobs_of_its_parent() -> None:
    assert python(FORKED, env={"PYTHONWARNINGS": "ignore"}).split() == ["True", "False"]


FORKED = """
import os, sys
from obs_middleware import Observer
class Own:
    name, interval_seconds = "own", 60
    def export(self, collected):
        print(b"obs_job_duration" in collected.text(), flush=True)
observer = Observer(log_setup=False)
observer.exporters.add(Own())
with observer.exporters.job("nightly"):
    pass
child = os.fork()
if not child:
    observer.exporters.push()
    os._exit(0)
os.waitpid(child, 0)
"""


def test_an_async_job_ends_as_it_does_where_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_to_be_had(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own, exporter = observer(), Own()
    own.exporters.add(exporter)

    async def main() -> None:
        with monkeypatch.context() as patched:
            async with own.exporters.job("nightly"):
                patched.setattr(threading.Thread, "start", none_to_be_had)

    asyncio.run(main())
    assert jobs_of(exported(exporter)).keys() == {"nightly"}
