"""Which processes are one service."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

from obs_middleware.workers import membership
from tests.core.support import python

SUPERVISOR = "from obs_middleware.workers.membership import supervisor\n"


def test_a_process_that_a_shell_has_started_is_alone() -> None:
    assert python(SUPERVISOR + "print(supervisor())") == "None\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_belongs_to_its_parent() -> None:
    code = "import os, warnings\nwarnings.simplefilter('ignore')\nparent = os.getpid()\nchild = os.fork()\n"
    code += "if not child: print(supervisor().pid == parent, flush=True); os._exit(0)\nos.waitpid(child, 0)"
    assert python(SUPERVISOR + code) == "True\n"


@pytest.mark.parametrize("reloader", ["RUN_MAIN", "WERKZEUG_RUN_MAIN"])
def test_a_reloader_is_no_supervisor(reloader: str) -> None:
    code = "import os, warnings\nwarnings.simplefilter('ignore')\nchild = os.fork()\n"
    code += "if not child: print(supervisor(), flush=True); os._exit(0)\nos.waitpid(child, 0)"
    assert python(SUPERVISOR + code, env={reloader: "true"}) == "None\n"


def test_a_process_of_multiprocessing_belongs_to_who_has_started_it() -> None:
    code = """
import multiprocessing, os
parent = multiprocessing.process.parent_process
multiprocessing.process.parent_process = lambda: type("Parent", (), {"pid": os.getpid()})
print(supervisor().pid == os.getpid())
"""
    assert python(SUPERVISOR + code) == "True\n"


@pytest.mark.parametrize(
    ("numproc", "worker", "master", "expected"),
    [(1, 1, 7, False), (2, 0, 7, False), (2, 1, None, True), (2, 2, 0, True)],
)
def test_workers_of_uwsgi_belong_to_its_master_or_to_the_first(
    monkeypatch: pytest.MonkeyPatch, numproc: int, worker: int, master: int | None, expected: bool
) -> None:
    uwsgi = types.SimpleNamespace(
        numproc=numproc,
        worker_id=lambda: worker,
        masterpid=lambda: os.getpid() if master is None else master,
        workers=lambda: [{"pid": os.getpid()}],
    )
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    found = membership.supervisor()
    assert (found is not None and found.pid == os.getpid()) is expected


def test_a_process_has_a_name_that_a_later_one_with_its_number_has_not() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own, other = membership.facts(os.getpid()), membership.facts(child.pid)
    assert own is not None
    assert other is not None
    assert own.name != other.name
    assert own.started <= other.started or len(own.started) < len(other.started)
    assert own == membership.facts(os.getpid())
    child.communicate()
    assert membership.facts(child.pid) is None


def test_where_there_is_no_proc_the_system_is_asked_by_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "_PROC", "/nowhere")
    answers = [
        types.SimpleNamespace(stdout=text) for text in ("Sat Nov 28 18:00:00 2026 python -m shop\n", "")
    ]
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answers.pop(0))
    assert membership.facts(7) == membership.Process(7, "Nov-28-18-00-00-2026", "python -m shop")
    assert membership.facts(8) is None


def test_a_process_whose_parent_is_outside_its_container_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 0)
    assert membership.supervisor() is None
