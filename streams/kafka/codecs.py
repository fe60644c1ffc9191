"""Compressed batches, opened up to a bound: a few kilobytes of zeros can stand for gigabytes.

aiokafka opens a batch whole and asks nobody how large it becomes. The codecs here give up at `MOST_BYTES`.
"""

from __future__ import annotations

import contextlib
import gzip
import mmap
import struct
import threading
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cramjam
from aiokafka.codec import _detect_xerial_stream
from aiokafka.record import default_records, legacy_records
from aiokafka.record._crecords import default_records as compiled_default_records
from aiokafka.record._crecords import legacy_records as compiled_legacy_records
from aiokafka.record.util import decode_varint

MOST_BYTES = 64 << 20
"""The most that the records of one batch may take once they are decompressed."""
MOST_TOGETHER = 16 << 20
"""No further batch of a fetch is opened once those before it have taken this."""
_MOST_HEADERS = 10_000
# A shorter record cannot hold enough headers to matter.
_LONG_RECORD = 1 << 20
_SCRATCH_BYTES = 1 << 20
_XERIAL_HEADER_BYTES = 16
# zlib's word for its largest window in a gzip wrapping.
_GZIP = 31

_thread = threading.local()


class BatchTooLargeError(Exception):
    """A batch that takes more memory once it is opened than riskmon gives it."""


def opened_bytes() -> int:
    """What this thread's codecs have given out so far: the difference of two answers is what lies between them."""
    total: int = getattr(_thread, "opened", 0)
    return total


def bound_codecs() -> None:
    """Make aiokafka open batches by the codecs of this module, in this process."""
    for module in (default_records, legacy_records, compiled_default_records, compiled_legacy_records):
        # What an older format holds are no records with headers.
        check = None if hasattr(module, "LegacyRecordBatch") else _refuse_many_headers
        for name, codec in _CODECS.items():
            if hasattr(module, name):
                setattr(module, name, _watched(codec, check))


def gunzip(data: Any) -> bytes:
    """The content of gzip data. Raises `BatchTooLargeError`, or what `gzip` raises for damaged data."""
    opener = zlib.decompressobj(wbits=_GZIP)
    content = opener.decompress(data, MOST_BYTES + 1)
    if not opener.eof or opener.unused_data:
        # Too long, cut off, or in several members, which hardly anybody writes.
        with gzip.GzipFile(fileobj=BytesIO(data)) as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _too_large()
    return content


def unsnap(data: Any) -> bytes:
    """The content of snappy data, raw or in the blocks of Java's library; its length stands in front of each."""
    if not _detect_xerial_stream(data):
        return _unsnap_block(data, MOST_BYTES)
    content, rest = bytearray(), memoryview(data)[_XERIAL_HEADER_BYTES:]
    while rest:
        (size,) = struct.unpack_from("!i", rest)
        if not 0 < size <= len(rest) - 4:
            raise ValueError(f"snappy: a block of {size} bytes where {len(rest) - 4} are left")
        content += _unsnap_block(rest[4 : 4 + size], MOST_BYTES - len(content))
        rest = rest[4 + size :]
    return bytes(content)


def unlz4(data: Any) -> bytes:
    """The content of an LZ4 frame."""
    return _into_buffer(cramjam.lz4.decompress_into, data)


def unzstd(data: Any) -> bytes:
    """The content of a Zstandard frame."""
    return _into_buffer(cramjam.zstd.decompress_into, data)


def _unsnap_block(data: Any, most: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(data) > most:
        raise _too_large()
    return bytes(cramjam.snappy.decompress_raw(data))


def _into_buffer(decompress_into: Callable[[Any, Any], int], data: Any) -> bytes:
    """Decompress into a buffer that cannot grow: the usual batch into one that is there, any other into a map."""
    if not hasattr(_thread, "scratch"):
        _thread.scratch = bytearray(_SCRATCH_BYTES)
    try:
        return bytes(memoryview(_thread.scratch)[: decompress_into(data, _thread.scratch)])
    except cramjam.DecompressionError:
        # Too small, or damaged: the larger one tells. The kernel gives its pages only as they are written.
        with mmap.mmap(-1, MOST_BYTES) as buffer:
            try:
                return buffer[: decompress_into(data, buffer)]
            except cramjam.DecompressionError as error:
                raise _too_large() if "write whole buffer" in str(error) else error from None


def _too_large() -> BatchTooLargeError:
    return BatchTooLargeError(f"the batch takes more than {MOST_BYTES >> 20} MiB once it is decompressed")


def _watched(codec: Callable[[Any], bytes], check: Callable[[bytes], None] | None) -> Callable[[Any], bytes]:
    def opened(data: Any) -> bytes:
        content = codec(data)
        _thread.opened = opened_bytes() + len(content)
        if check and len(content) >= _LONG_RECORD:
            check(content)
        return content

    return opened


def _refuse_many_headers(content: bytes) -> None:
    """A header of two bytes becomes an object of a hundred: look at the count in long records before they are read."""
    at = 0
    # What is wrong with damaged records is aiokafka's to say.
    with contextlib.suppress(IndexError, ValueError):
        while at < len(content):
            length, start = decode_varint(content, at)
            if length >= _LONG_RECORD and _header_count(content, start) > _MOST_HEADERS:
                raise BatchTooLargeError(f"a record of the batch has more than {_MOST_HEADERS:,} headers")
            at = start + max(length, 0)


def _header_count(content: bytes, at: int) -> int:
    at += 1  # attributes
    for _ in ("timestamp", "offset"):
        _, at = decode_varint(content, at)
    for _ in ("key", "value"):
        size, at = decode_varint(content, at)
        at += max(size, 0)
    return int(decode_varint(content, at)[0])


_CODECS: dict[str, Callable[[Any], bytes]] = {
    "gzip_decode": gunzip,
    "snappy_decode": unsnap,
    "lz4_decode": unlz4,
    "zstd_decode": unzstd,
}
