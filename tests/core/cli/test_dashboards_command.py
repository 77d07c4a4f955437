"""`python -m obs_middleware dashboards OUT`: the package's dashboards, which replace nothing by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obs_middleware import __main__
from obs_middleware.cli import dashboards_command

PACKAGED = dashboards_command.rendered()


def test_dashboards_of_the_package_are_those_of_its_folder() -> None:
    folder = Path(dashboards_command.__file__).parent / "dashboards"
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")} == PACKAGED


@pytest.fixture(autouse=True)
def rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"http-overview.json": json.dumps({"title": "HTTP overview"}), "slo.json": "{}"}
    monkeypatch.setattr(dashboards_command, "rendered", lambda: found)


def test_dashboards_are_copied_into_a_new_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "grafana/dashboards"
    assert __main__.main(["dashboards", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["http-overview.json", "slo.json"]
    text = capsys.readouterr().out
    assert f"wrote {folder / 'http-overview.json'}  HTTP overview" in text
    assert f"path: {folder}" in text


def test_files_that_are_there_are_replaced_by_force_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slo.json").write_text("mine")
    (tmp_path / "http-overview.json").symlink_to("elsewhere")
    assert __main__.main(["dashboards", str(tmp_path)]) == 2
    assert "http-overview.json, slo.json already: nothing was written; --force" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["http-overview.json", "slo.json"]
    assert __main__.main(["dashboards", str(tmp_path), "--force"]) == 0
    assert (tmp_path / "slo.json").read_text() == "{}"


def test_folder_that_can_not_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert __main__.main(["dashboards", str(tmp_path / "file/inside")]) == 2
    assert "can't be written" in capsys.readouterr().err


def test_installation_without_dashboards_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboards_command, "rendered", dict)
    assert __main__.main(["dashboards", str(tmp_path)]) == 2
    assert "install obs-middleware again" in capsys.readouterr().err
