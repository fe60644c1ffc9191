from streams.continuity import Continuity


def test_a_hole_is_found_once_and_what_follows_on_is_none() -> None:
    continuity = Continuity({0: 5})
    assert continuity.hole_before(0, 5) is None
    assert continuity.hole_before(0, 6) is None
    assert continuity.hole_before(0, 9) == range(7, 9)
    assert continuity.hole_before(0, 10) is None


def test_what_was_delivered_before_is_no_hole_and_does_not_move_the_mark_back() -> None:
    continuity = Continuity({0: 8})
    assert continuity.hole_before(0, 3) is None
    assert continuity.hole_before(0, 8) is None


def test_a_partition_without_a_commit_starts_at_its_beginning() -> None:
    assert Continuity({}).hole_before(2, 1) == range(1)
