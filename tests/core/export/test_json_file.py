"""JsonFile writes the fields that its readers expect."""

from __future__ import annotations

import json
import math
from pathlib import Path

from obs_middleware.export import JsonFile
from tests.core.support import observer


def test_json_file_has_the_fields_that_a_reader_expects(tmp_path: Path) -> None:
    own, file = observer(), tmp_path / "shop.json"
    own.metrics.gauge("odd", "Odd.", ["kind"]).labels("nan").set(math.nan)
    own.metrics.counter("orders", "Orders.").inc(3)
    own.events.record("opened")
    own.exporters.add(JsonFile(file))
    own.gateway.started()
    assert own.exporters.push()
    running = json.loads(file.read_text())
    assert set(running) == {"timestamp", "metrics", "events_count", "running"}
    assert running["metrics"]["orders"]["samples"][0] == {"name": "orders_total", "labels": {}, "value": 3.0}
    assert running["metrics"]["odd"]["samples"][0]["value"] is None
    assert (running["events_count"], running["running"]) == (1, True)
    own.close()
    stopped = json.loads(file.read_text())
    assert stopped["running"] is False
    assert stopped["timestamp"] > running["timestamp"]
