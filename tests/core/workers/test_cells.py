"""Cells: numbers that are whole, names that are whole, exemplars that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from obs_middleware.workers.cells import FIRST, Cells, exemplars
from obs_middleware.workers.reader import Reader


def test_cells_follow_each_other_and_grow(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")
    first = cells.reserve(3)
    assert first == FIRST
    assert cells.reserve(2, after=first + 3) == first + 3
    assert cells.reserve(2, after=first + 3) is None
    old = cells.doubles
    far = cells.reserve(10_000)
    assert far is not None
    cells.doubles[far + 9_999] = 2.5
    old[first] = 1.5  # those who hold the old view write to the same cell
    reader = Reader(tmp_path, "w1-1-a")
    reader.refresh()
    assert (reader.doubles[first], reader.doubles[far + 9_999]) == (1.5, 2.5)
    cells.close()


def test_a_line_of_names_that_is_not_whole_is_left_out(tmp_path: Path) -> None:
    cells, reader = Cells(tmp_path / "w1-1-a"), Reader(tmp_path, "w1-1-a")
    cells.note("f", 0, "orders")
    names = tmp_path / "w1-1-a.names"
    with names.open("ab") as file:
        file.write(b'["s",0,"_tot')
    assert list(reader.new_lines()) == [["f", 0, "orders"]]
    with names.open("ab") as file:
        file.write(b'\n[]\n7\n["s",0,"_total",null]\n')
    assert list(reader.new_lines()) == [["s", 0, "_total", None]]
    assert list(reader.new_lines()) == []
    cells.close()


def test_names_that_utf_8_has_not_are_written_as_escapes(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")
    cells.note(0, 8, "caf\udce9")
    assert list(Reader(tmp_path, "w1-1-a").new_lines()) == [[0, 8, "caf\\udce9"]]
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


def test_files_of_another_member_are_never_taken(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "w1-1-a")
    with pytest.raises(FileExistsError):
        Cells(tmp_path / "w1-1-a")
    cells.close()
