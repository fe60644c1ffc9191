from streams.kafka.continuity import Continuity


def test_what_was_read_again_is_no_hole_and_moves_nothing_back() -> None:
    continuity = Continuity({0: 5})
    assert not continuity.hole(0, range(2, 8))
    assert not continuity.hole(0, range(3, 6))
    assert not continuity.hole(0, range(8, 9))
    assert continuity.next_offset(0) == 9


def test_an_unknown_partition_begins_at_its_first_offset() -> None:
    continuity = Continuity({})
    assert continuity.next_offset(3) == 0
    assert continuity.hole(3, range(4, 5)) == range(4)


def test_markers_and_aborted_records_inside_what_was_read_are_no_hole() -> None:
    continuity = Continuity({0: 5})
    assert not continuity.hole(0, range(5, 40))
    assert not continuity.hole(0, range(30, 45))
    assert continuity.hole(0, range(47, 50)) == range(45, 47)
    assert continuity.next_offset(0) == 50
