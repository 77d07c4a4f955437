"""Cells: numbers that are whole, names that are whole, exemplars that are whole or not there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from obs_middleware.workers.cells import FIRST, Cells, exemplars
from obs_middleware.workers.reader import Reader

resource = pytest.importorskip("resource", reason="no limits of files on this system")


def lines(reader: Reader) -> list[list[Any]]:
    reader.fetch()
    return list(reader.new_lines())


def test_cells_follow_each_other_and_grow(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")
    first = cells.reserve(3)
    assert first == FIRST
    assert cells.reserve(2) == first + 3
    old = cells.doubles
    far = cells.reserve(10_000)
    cells.doubles[far + 9_999] = 2.5
    old[first] = 1.5  # those who hold the old view write to the same cell
    reader = Reader(tmp_path, "w1-1-a")
    reader.fetch()
    assert (reader.doubles[first], reader.doubles[far + 9_999]) == (1.5, 2.5)
    cells.close()


def test_a_line_of_names_that_is_not_whole_is_left_out(tmp_path: Path) -> None:
    cells, reader = Cells(tmp_path / "w1-1-a"), Reader(tmp_path, "w1-1-a")
    cells.note("f", 0, "orders")
    names = tmp_path / "w1-1-a.names"
    with names.open("ab") as file:
        file.write(b'["s",0,"_tot')
    assert lines(reader) == [["f", 0, "orders"]]
    with names.open("ab") as file:
        file.write(b'\n[]\n7\n["s",0,"_total",null]\n')
    assert lines(reader) == [["s", 0, "_total", None]]
    assert lines(reader) == []
    cells.close()


def test_names_that_utf_8_has_not_are_written_as_escapes(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")
    cells.note(0, 8, "caf\udce9")
    assert lines(Reader(tmp_path, "w1-1-a")) == [[0, 8, "caf\\udce9"]]
    cells.close()


def test_an_exemplar_replaces_the_one_before_and_a_torn_one_is_none(tmp_path: Path) -> None:
    cells, reader = Cells(tmp_path / "w1-1-a"), Reader(tmp_path, "w1-1-a")
    cells.keep_exemplar(9, {"trace_id": "a"}, 1.0, 5.0)
    cells.keep_exemplar(12, {"trace_id": "b"}, 2.0, None)
    cells.keep_exemplar(9, {"trace_id": "c"}, 3.0, 6.0)
    cells.keep_exemplar(13, {"trace_id": "x" * 200}, 3.0, 6.0)
    assert list(reader.exemplars()) == [(9, {"trace_id": "c"}, 3.0, 6.0), (12, {"trace_id": "b"}, 2.0, None)]
    content = bytearray((tmp_path / "w1-1-a.exemplars").read_bytes())
    content[20] ^= 1
    assert [cell for cell, *_ in exemplars(bytes(content))] == [12]
    assert list(exemplars(bytes(content[:100]))) == []
    cells.close()


def test_nothing_is_written_to_files_that_are_closed(tmp_path: Path) -> None:
    """Their numbers are soon those of the app's own files."""
    cells = Cells(tmp_path / "w1-1-a")
    cells.close()
    others = [(tmp_path / f"other{number}").open("w+b") for number in range(3)]
    for write in (
        lambda: cells.note("f", 0, "orders"),
        lambda: cells.keep_exemplar(9, {}, 1.0, None),
        lambda: cells.reserve(10_000),
    ):
        with pytest.raises(OSError, match="Bad file descriptor"):
            write()
    assert [other.read() for other in others] == [b"", b"", b""]
    for other in others:
        other.close()


def test_threads_that_ask_for_cells_at_once_get_cells_of_their_own(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")

    def count(found: list[int]) -> None:
        for _ in range(3000):
            first = cells.reserve(2)
            assert first is not None
            cells.doubles[first] = 1.0
            found.append(first)

    found: list[list[int]] = [[], [], []]
    threads = [threading.Thread(target=count, args=(one,)) for one in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_of_them = [first for one in found for first in one]
    assert len(set(all_of_them)) == 9000
    assert [first for first in all_of_them if cells.doubles[first] != 1.0] == []
    cells.close()


def test_files_of_another_member_are_never_taken(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")
    with pytest.raises(FileExistsError):
        Cells(tmp_path / "w1-1-a")
    cells.close()


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let no file have more bytes than these, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_cells_that_find_no_room_leave_no_file_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with room(10_000), pytest.raises(OSError, match=r"File too large|no room"):
        Cells(tmp_path / "w1-1-a")
    with pytest.raises(FileExistsError):
        Cells(tmp_path / "w1-1-a")
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_there_is_no_room_for_more_cells_those_that_are_there_stay(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")
    first = cells.reserve(1)
    with room(40_000), pytest.raises(OSError, match="no room for 10"):
        cells.reserve(10_000)
    assert cells.reserve(1) == first + 1
    cells.doubles[first] = 1.5
    reader = Reader(tmp_path, "w1-1-a")
    reader.fetch()
    assert reader.doubles[first] == 1.5
    cells.close()


def test_a_line_of_names_that_had_no_room_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    cells, reader = Cells(tmp_path / "w1-1-a"), Reader(tmp_path, "w1-1-a")
    cells.note("f", 0, "orders")
    with room(30), pytest.raises(OSError, match="no room for the names"):
        cells.note("f", 1, "a name that is long")
    cells.note("f", 2, "later")
    assert lines(reader) == [["f", 0, "orders"], ["f", 2, "later"]]
    cells.close()


def test_a_member_that_has_no_files_yet_has_nothing(tmp_path: Path) -> None:
    reader = Reader(tmp_path, "w1-1-a")
    reader.fetch()
    assert (lines(reader), list(reader.exemplars()), len(reader.doubles)) == ([], [], 0)
    assert reader.answered() == 0
