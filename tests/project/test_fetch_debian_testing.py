"""The script that fetches newer Pythons and servers: what it says where it can't, and that it does nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import programs
from tests.installed import ROOT

SHELL = shutil.which("sh")


def fetch(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run the script on a machine without apt and without anything else."""
    command = [str(SHELL), str(ROOT / "scripts/fetch-debian-testing"), *names]
    env = {"DEBIAN_TESTING": str(folder), "PATH": str(folder / "nothing")}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_a_machine_without_apt_is_told_why_nothing_is_fetched(tmp_path: Path) -> None:
    done = fetch(tmp_path, "python3.14")
    assert done.returncode == 1
    assert "There is no apt here" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_it_does_not_fetch_is_answered_with_those_that_it_does(tmp_path: Path) -> None:
    done = fetch(tmp_path, "grafana")
    assert done.returncode == 1
    assert "no grafana" in done.stderr
    assert "python3.14" in done.stderr


def test_what_has_been_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "fetched").write_text("prometheus\npython3.14\n")
    os.symlink(str(shutil.which("grep")), _folder(tmp_path / "nothing") / "grep")
    assert fetch(tmp_path, "python3.14").returncode == 0
    assert fetch(tmp_path, "python3.14", "python3.15").returncode == 1


def test_a_program_that_was_fetched_comes_before_an_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, fetched = _folder(tmp_path / "installed"), _folder(tmp_path / "root/usr/bin")
    monkeypatch.setenv("PATH", str(installed))
    monkeypatch.setattr(programs, "FOLDER", tmp_path)
    assert programs.find("promtool") is None
    for folder in (installed, fetched):
        shutil.copy(str(shutil.which("sh", path=os.defpath)), folder / "promtool")
        assert programs.find("promtool") == str(folder / "promtool")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path
