"""Files are replaced whole, or not at all."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from obs_middleware.export import JsonFile, Textfile
from tests.core.support import caught, observer


def test_a_reader_never_sees_a_part_of_a_file(tmp_path: Path) -> None:
    own, file, seen = observer(), tmp_path / "shop.json", list[int]()
    wide = own.metrics.gauge("wide", "Wide.", ["n"])
    for number in range(300):
        wide.labels(number).set(number)
    own.exporters.add(JsonFile(file))
    own.exporters.push()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(len(json.loads(file.read_bytes())["metrics"]["wide"]["samples"]))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        assert own.exporters.push()
    done.set()
    reader.join()
    assert set(seen) == {300}
    assert os.listdir(tmp_path) == ["shop.json"]


def test_a_file_that_can_not_be_written_is_a_failure_and_leaves_nothing(tmp_path: Path) -> None:
    own = observer()
    (tmp_path / "taken.prom").mkdir()
    own.exporters.add(Textfile(tmp_path / "none" / "shop.prom"), Textfile(tmp_path / "taken.prom"))
    with caught("obs") as lines:
        assert not own.exporters.push()
    assert own.registry.get_sample_value("obs_export_failures_total", {"exporter": "textfile"}) == 2
    assert any("No such file or directory" in line for line in lines.lines)
    assert os.listdir(tmp_path) == ["taken.prom"]
