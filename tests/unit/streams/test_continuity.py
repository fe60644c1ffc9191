from streams.kafka.continuity import Continuity


def test_a_hole_is_found_once_and_what_follows_on_is_none() -> None:
    continuity = Continuity({0: 5})
    assert continuity.holes(0, [5, 6]) == []
    assert continuity.holes(0, [9]) == [range(7, 9)]
    assert continuity.holes(0, [10, 12, 13, 16]) == [range(11, 12), range(14, 16)]
    assert continuity.holes(0, [17]) == []


def test_what_was_delivered_before_is_no_hole_and_does_not_move_the_mark_back() -> None:
    continuity = Continuity({0: 8})
    assert continuity.holes(0, [3, 4]) == []
    assert continuity.next_offset(0) == 8
    assert continuity.holes(0, [7, 10]) == [range(8, 10)]
    assert continuity.next_offset(0) == 11


def test_a_partition_without_a_commit_starts_at_its_beginning() -> None:
    assert Continuity({}).holes(2, [1]) == [range(1)]
