"""A key's partition, against values of Kafka's own Java client (org.apache.kafka.common.utils.UtilsTest)."""

import re
from pathlib import Path

import pytest

from streams.kafka.placement import murmur2_placement

JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", JAVA, ids=bytes.decode)
@pytest.mark.parametrize("partitions", [1, 2, 4, 12, 1024])
def test_a_key_lies_where_javas_client_puts_it(key: bytes, partitions: int) -> None:
    assert murmur2_placement(partitions)(key) == (JAVA[key] & 0x7FFFFFFF) % partitions


def test_the_documented_examples_are_right() -> None:
    page = (Path(__file__).parents[4] / "docs" / "producing-events.md").read_text()
    examples = re.findall(r"`([\w-]+)` (?:belongs )?on (\d)", page)
    assert [name for name, _ in examples] == ["B1", "B2", "borrower-7"]
    for name, partition in examples:
        assert murmur2_placement(4)(name.encode()) == int(partition)
