"""Merge: what members have, added up, whatever each has and whenever it has got it."""

from __future__ import annotations

from functools import reduce
from itertools import permutations
from operator import add
from pathlib import Path

from obs_middleware.workers.cells import ABSENT, Cells
from obs_middleware.workers.family import BLOCK, Family
from obs_middleware.workers.merge import Merge
from obs_middleware.workers.reader import Reader


class Member:
    """A member that writes what a test wants."""

    def __init__(self, folder: Path, name: str) -> None:
        self.cells = Cells(folder / name)
        self.reader = Reader(folder, name)
        self.cells.note("f", 0, "orders", "counter", "Orders.", ["of"], "")
        self.cells.note("s", 0, "_total", None)

    def count(self, labels: str, value: float) -> int:
        first = self.cells.reserve(1)
        assert first is not None
        self.cells.doubles[first] = value
        self.cells.note(0, first, labels)
        return first


def totals(merge: Merge, *members: Member) -> dict[str, float]:
    merge.read([member.reader for member in members])
    (family,) = merge.families.values()
    return dict(sums(family, merge))


def sums(family: Family, merge: Merge) -> list[tuple[str, float]]:
    found = []
    for block in family.blocks:
        numbers, values = family.sums(merge.readers.values(), block)
        found += [(family.labels[number][0], value) for number, value in zip(numbers, values, strict=True)]
    return found


def test_members_are_added_up_in_whatever_order_they_have_series(tmp_path: Path) -> None:
    one, two, merge = Member(tmp_path, "w1"), Member(tmp_path, "w2"), Merge()
    for number in range(BLOCK + 10):
        one.count(str(number), 1)
        two.count(str(BLOCK + 20 - number), 10)
    found = totals(merge, one, two)
    assert found["0"] == 1
    assert found["40"] == 11
    assert found[str(BLOCK + 20)] == 10
    two.count("0", 5)
    one.count("new", 7)
    found = totals(merge, one, two)
    assert (found["0"], found["new"], found["40"]) == (6, 7, 11)


def test_a_block_that_another_member_has_filled_is_read_whole(tmp_path: Path) -> None:
    one, two, merge = Member(tmp_path, "w1"), Member(tmp_path, "w2"), Merge()
    one.count("0", 1)
    two.count("0", 1)
    assert totals(merge, one, two) == {"0": 2}
    for number in range(1, BLOCK + 10):
        two.count(str(number), 1)
    found = totals(merge, one, two)
    assert (len(found), sum(found.values())) == (BLOCK + 10, BLOCK + 11)


def test_a_series_that_all_who_had_it_have_removed_is_gone(tmp_path: Path) -> None:
    one, two, merge = Member(tmp_path, "w1"), Member(tmp_path, "w2"), Merge()
    cell = one.count("a", 1)
    two.count("b", 2)
    own = two.count("a", 4)
    assert totals(merge, one, two) == {"a": 5, "b": 2}
    one.cells.doubles[cell] = ABSENT
    assert totals(merge, one, two) == {"a": 4, "b": 2}
    two.cells.doubles[own] = ABSENT
    assert totals(merge, one, two) == {"b": 2}


def test_a_member_that_has_left_counts_no_more(tmp_path: Path) -> None:
    one, two, merge = Member(tmp_path, "w1"), Member(tmp_path, "w2"), Merge()
    one.count("a", 1)
    two.count("b", 2)
    assert totals(merge, one, two) == {"a": 1, "b": 2}
    assert totals(merge, two) == {"b": 2}
    one.reader = Reader(tmp_path, "w1")
    assert totals(merge, one, two) == {"a": 1, "b": 2}


def test_a_series_that_has_moved_is_read_where_it_is(tmp_path: Path) -> None:
    one, merge = Member(tmp_path, "w1"), Merge()
    one.count("a", 1)
    assert totals(merge, one) == {"a": 1}
    one.count("a", 3)
    assert totals(merge, one) == {"a": 3}


def test_lines_of_another_release_are_left_out(tmp_path: Path) -> None:
    one, merge = Member(tmp_path, "w1"), Merge()
    one.cells.note("x", 1)
    one.cells.note(9, 8, "unknown family")
    one.count("a", 1)
    assert totals(merge, one) == {"a": 1}


def test_histograms_with_other_bounds_are_one_with_all_of_them(tmp_path: Path) -> None:
    merge, members = Merge(), [Cells(tmp_path / name) for name in ("w1", "w2")]
    for cells, bounds in zip(members, (("0.1", "+Inf"), ("0.1", "1.0", "+Inf")), strict=True):
        cells.note("f", 0, "latency", "histogram", "Time.", [], "")
        for le in bounds:
            cells.note("s", 0, "_bucket", le)
        first = cells.reserve(len(bounds))
        assert first is not None
        cells.note(0, first)
        for place in range(len(bounds)):
            cells.doubles[first + place] = 1
    merge.read([Reader(tmp_path, "w1"), Reader(tmp_path, "w2")])
    (family,) = merge.families.values()
    _, values = family.sums(merge.readers.values(), range(1))
    assert dict(zip([le for _, le in family.slots], values, strict=True)) == {"0.1": 2, "+Inf": 2, "1.0": 1}


def test_a_sum_is_the_same_in_any_order_also_where_it_happens_to_be_whole(tmp_path: Path) -> None:
    """A worker that ends is in the archive from then on, and so comes first; less would look like a reset."""
    amounts = (9.99, 67.91000000000001, 0.1)
    assert reduce(add, amounts) == 78.0  # one by one, and exactly it is more
    members, merge = [Member(tmp_path, f"w{number}") for number in range(3)], Merge()
    for member, amount in zip(members, amounts, strict=True):
        member.count("a", amount)
    for order in permutations(members):
        assert totals(merge, *order) == {"a": 78.00000000000001}


def test_a_metric_that_is_declared_again_has_what_comes_after_it(tmp_path: Path) -> None:
    """Its process had no room for all of what it says of itself, and began anew."""
    member, merge = Member(tmp_path, "w1"), Merge()
    member.count("a", 3)
    assert totals(merge, member) == {"a": 3}
    member.cells.note("f", 1, "orders", "counter", "Orders.", ["of"], "")
    member.cells.note("s", 1, "_total", None)
    member.cells.note(1, member.count("b", 5), "c")
    assert totals(merge, member)["c"] == 5
    assert "a" not in totals(merge, member)
