"""The servers that Prometheus works with start here, so that tests of alerts and of pushed metrics can use them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import installed, programs, running

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
OPTIONS = {
    "prometheus-alertmanager": ["--config.file=alertmanager.yml", "--cluster.listen-address="],
    "prometheus-pushgateway": [],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_fetched_server_starts_and_shows_its_page(name: str, tmp_path: Path) -> None:
    program = programs.find(name)
    if program is None:
        pytest.skip(f"no {name} here (scripts/fetch-debian-testing)")
    (tmp_path / "alertmanager.yml").write_text(CONFIG)
    command = [program, "--web.listen-address=127.0.0.1:{port}", *OPTIONS[name]]
    with running.serve(command, folder=tmp_path, env=installed.clean(), ready="/-/ready") as server:
        assert server.get("/").status == 200
