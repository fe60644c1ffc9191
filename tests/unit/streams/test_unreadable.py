"""Batches as bytes, made by hand, through aiokafka's own reading: a contract with the pinned version."""

import struct
from collections.abc import Callable, Iterable

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from streams.contracts.records import Record, Unreadable
from streams.kafka.codecs import MOST_BYTES, MOST_TOGETHER, gunzip, unlz4, unsnap, unzstd
from streams.kafka.reader import as_record
from streams.kafka.unreadable import FetchedBatches, ReadableRecords

TP = TopicPartition("events", 0)
HEADER = _DefaultRecordBatchPy.HEADER_STRUCT.size
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
Headers = list[tuple[str, bytes | None]]


def batch(
    first: int, values: Iterable[bytes], codec: int = NONE, headers: Headers | None = None, producer: int = -1
) -> bytearray:
    """A batch as a broker hands it out."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=int(producer >= 0),
        producer_id=producer,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 30,
    )
    for offset, value in enumerate(values):
        builder.append(offset, timestamp=5, key=b"B1", value=value, headers=headers or [])
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, first)
    return built


def signed(data: bytearray) -> bytearray:
    """The same with the checksum of what it has become."""
    at = _DefaultRecordBatchPy.ATTRIBUTES_OFFSET
    struct.pack_into(">I", data, _DefaultRecordBatchPy.CRC_OFFSET, calc_crc32c(bytes(data[at:])))
    return data


def repacked(source: bytearray, codec: int, payload: bytes) -> bytearray:
    """The header of one batch before other content, as if it were in that codec."""
    made = source[:HEADER] + payload
    struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">h", made, _DefaultRecordBatchPy.ATTRIBUTES_OFFSET, codec)
    return signed(made)


def read(*batches: bytearray, start: int = 0, tries: int = 3, aborted: object = None) -> list[Record]:
    """What a reader gets who begins anew where it has come to, as a client does."""
    found: list[Record] = []
    data = b"".join(bytes(each) for each in batches)
    for _ in range(tries):
        records = ReadableRecords(TP, FetchedBatches(data), aborted, start, None, None, True, fetcher.READ_COMMITTED)
        found += [as_record(each) for each in records]
        start = records.next_fetch_offset
    return found


def test_fetches_of_every_client_are_read_by_this_module() -> None:
    assert fetcher.PartitionRecords is ReadableRecords
    assert fetcher.MemoryRecords is FetchedBatches


@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
def test_each_codec_is_opened(codec: int) -> None:
    values = [b"%d" % each * 1000 for each in range(50)]
    assert [each.value for each in read(batch(7, values, codec), start=7, tries=1)] == values


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4])
def test_the_format_of_an_older_kafka_is_opened(codec: int) -> None:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=codec, batch_size=1 << 20)
    for offset in range(3):
        builder.append(offset, timestamp=5, key=None, value=b"v%d" % offset)
    assert [each.value for each in read(bytearray(builder.build()), tries=1)] == [b"v0", b"v1", b"v2"]


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_bomb_is_one_dead_letter_a_record_and_what_is_behind_it_is_read(codec: int) -> None:
    bomb = batch(0, [bytes(MOST_BYTES // 2)] * 3, codec)
    assert len(bomb) < MOST_BYTES // 10
    found = read(bomb, batch(3, [b"behind"]), start=0, tries=1)
    found += read(batch(3, [b"behind"]), start=3, tries=1)
    assert [(each.offset, each.value) for each in found] == [(0, None), (1, None), (2, None), (3, b"behind")]
    assert all(each.unreadable and each.unreadable.reason == "too_large" for each in found[:3])


def test_a_bomb_of_headers_is_not_opened() -> None:
    headers: Headers = [("k", None)] * 600_000
    (found,) = read(batch(0, [b""], ZSTD, headers), tries=1)
    assert found.unreadable == Unreadable("too_large", "a record of the batch has more than 10,000 headers")


def test_many_batches_that_are_large_together_are_read_one_fetch_after_another() -> None:
    three = [batch(each, [bytes(MOST_TOGETHER // 2 + 1)], ZSTD) for each in range(3)]
    assert [each.offset for each in read(*three, tries=1)] == [0, 1]
    assert [each.offset for each in read(*three[2:], start=2, tries=1)] == [2]


def damaged(place: int) -> Callable[[], bytearray]:
    def made() -> bytearray:
        good = batch(4, [b"a", b"b"])
        good[place] ^= 0xFF
        return good

    return made


@pytest.mark.parametrize(
    "make",
    [
        damaged(-3),
        damaged(HEADER),
        lambda: repacked(batch(4, [b"a", b"b"]), 5, b"?"),
        lambda: repacked(batch(4, [b"a", b"b"]), 7, b"?"),
        *(
            lambda codec=codec, junk=junk: repacked(batch(4, [b"a", b"b"]), codec, junk)
            for codec in (NONE, GZIP, SNAPPY, LZ4, ZSTD)
            for junk in (b"", b"junk" * 9)
        ),
        lambda: repacked(batch(4, [b"a", b"b"]), GZIP, gzip_encode(b"x" * 99)[:-9]),
        lambda: repacked(batch(4, [b"a", b"b"]), SNAPPY, snappy_encode(b"x" * 99)[:-2]),
        lambda: repacked(batch(4, [b"a", b"b"]), LZ4, lz4_encode(b"x" * 99)[:-2]),
        lambda: repacked(batch(4, [b"a", b"b"]), ZSTD, zstd_encode(b"x" * 99)),
    ],
)
def test_what_cannot_be_decoded_is_a_dead_letter_a_record(make: Callable[[], bytearray]) -> None:
    found = read(make(), start=4)
    assert [(each.offset, each.value) for each in found] == [(4, None), (5, None)]
    assert {each.unreadable and each.unreadable.reason for each in found} == {"undecodable"}
    assert all(each.unreadable and each.unreadable.detail.strip() for each in found)


def test_it_is_fetched_anew_before_it_is_given_up() -> None:
    assert read(damaged(-3)(), start=4, tries=2) == []
    assert [each.value for each in read(batch(4, [b"a", b"b"]), start=4, tries=1)] == [b"a", b"b"]


def test_records_before_a_damaged_one_are_kept() -> None:
    good = batch(0, [b"a" * 20, b"b" * 20])
    # The length of the second record's value.
    good[-22] = 0x7E
    found = read(signed(good))
    assert [(each.offset, each.value) for each in found] == [(0, b"a" * 20), (1, None)]


@pytest.mark.parametrize("count", [-5, 2**31 - 1])
def test_a_damaged_count_of_records_is_not_believed(count: int) -> None:
    odd = batch(4, [b"a", b"b"])
    struct.pack_into(">i", odd, _DefaultRecordBatchPy.ATTRIBUTES_OFFSET + 2, count)
    assert [each.offset for each in read(odd, start=4)] == [4]


def test_a_damaged_length_is_passed_over_by_one_offset() -> None:
    odd = batch(4, [b"a", b"b"])
    struct.pack_into(">i", odd, 8, 1 << 30)
    (found,) = read(odd, start=4)
    assert found.offset == 4
    assert found.unreadable


def test_a_bomb_in_an_aborted_transaction_is_not_opened() -> None:
    bomb = batch(0, [bytes(2 * MOST_BYTES)], ZSTD, producer=9)
    assert read(bomb, aborted=[(9, 0)], tries=1) == []


@pytest.mark.parametrize(
    ("decode", "encode"), [(gunzip, gzip_encode), (unsnap, snappy_encode), (unlz4, lz4_encode), (unzstd, zstd_encode)]
)
@pytest.mark.parametrize("size", [1, 1000, 1 << 20, (1 << 20) + 1, MOST_BYTES])
def test_content_up_to_the_bound_is_whole(
    decode: Callable[[bytes], bytes], encode: Callable[[bytes], bytes], size: int
) -> None:
    assert decode(encode(bytes(size))) == bytes(size)


def test_gzip_in_several_members_is_opened() -> None:
    assert gunzip(gzip_encode(b"one ") + gzip_encode(b"two")) == b"one two"


def test_raw_snappy_is_opened() -> None:
    assert unsnap(bytes(cramjam.snappy.compress_raw(b"raw" * 99))) == b"raw" * 99
