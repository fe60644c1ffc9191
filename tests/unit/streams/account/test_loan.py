"""Ids stand as 64 bits that do not depend on the machine."""

from streams.account.loan import digest


def test_a_digest_is_the_same_everywhere_and_another_for_another_id() -> None:
    assert digest("pay-1") == 0xAC26CAF470BF6706
    assert len({digest(f"pay-{n}") for n in range(10_000)}) == 10_000
    assert all(0 <= digest(name) < 2**64 for name in ("", "a", "ä" * 64))
