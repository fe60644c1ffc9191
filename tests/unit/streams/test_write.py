"""The changelog as a compare-and-swap, with a log in a list: who has been overtaken writes nothing that counts."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import pytest

from streams.account.changelog import Claims, Verdict, claim_key, standing_on
from streams.account.codec import OutboxEntry
from streams.contracts.records import DeadLetter, Record
from streams.decide import BatchResult
from streams.kafka.changelog import LogRecord, Row
from streams.kafka.producer import Message
from streams.write import Changelog, ChangelogError, OwnershipLostError, UnclearWriteError, Writer

LOG = "riskmon-accounts-changelog"


class Broker:
    """One partition of a log, shared by all who write to it."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []

    def append(self, message: Message) -> int:
        self.records.append(LogRecord(0, len(self.records), message.key, message.value, message.headers))
        return len(self.records) - 1

    def counting(self) -> dict[bytes, bytes | None]:
        """The newest record of each key that counts, as any reader sees it."""
        judge, rows = Claims(), dict[bytes, bytes | None]()
        for record in self.records:
            if judge.judge(*record) is Verdict.COUNTS and record.key is not None:
                rows[record.key] = record.value
        return rows


class BrokerLog:
    """What one worker sees of it. `before` runs just before a write arrives; `unclear` of the next writes fail."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.before: Callable[[], object] = int
        self.unclear: list[str] = []
        self.delayed: list[Message] = []

    async def write(self, messages: Sequence[Message]) -> list[int]:
        before, self.before = self.before, int
        before()
        return [self.broker.append(each) for each in messages]

    async def write_once(self, messages: Sequence[Message]) -> list[int]:
        how = self.unclear.pop() if self.unclear else ""
        if not how:
            return await self.write(messages)
        if how == "written":
            await self.write(messages)
        elif how == "half":
            await self.write(messages[:1])
        elif how == "later":
            self.delayed += messages
        raise UnclearWriteError(how)

    async def read(self, partition: int, start: int, stop: int) -> list[LogRecord]:
        return [each for each in self.broker.records[start:stop] if each.partition == partition]


class DictTable:
    """A table in a dict, with the rule and without Faust."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.stale: set[bytes] = set()
        self._judge = Claims()
        self._next = 0

    def next_offset(self, _partition: int) -> int:
        return self._next

    def take(self, records: Sequence[LogRecord]) -> None:
        for record in records:
            verdict = self._judge.judge(*record)
            if verdict is Verdict.COUNTS and record.key is not None:
                self.rows[record.key] = record.value
                self.stale.discard(record.key)
            elif verdict is Verdict.STALE and record.key is not None:
                self.stale.add(record.key)
            self._next = record.offset + 1

    write = take

    def skip_to(self, _partition: int, offset: int) -> None:
        self._next = max(self._next, offset)

    def overtaken(self, _partitions: Iterable[int]) -> list[Row]:
        return [Row(0, key, self.rows.get(key)) for key in sorted(self.stale)]


class Member:
    """A worker's changelog, log and table."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.log, self.table = BrokerLog(broker), DictTable()
        self.changelog = Changelog(LOG, name, self.log, self.table)

    async def own(self) -> "Member":
        await self.changelog.claim([0])
        return self

    async def put(self, *pairs: tuple[bytes, bytes]) -> None:
        await self.changelog.write([Row(0, *pair) for pair in pairs])


async def test_an_owner_goes_on_from_what_it_found_and_reads_nothing_in_between() -> None:
    broker = Broker()
    first = await Member(broker, "first").own()
    await first.put((b"B1", b"1"), (b"B2", b"1"))
    await first.put((b"B1", b"2"))
    assert first.table.rows == {b"B1": b"2", b"B2": b"1"} == broker.counting()
    second = await Member(broker, "second").own()
    assert second.table.rows == first.table.rows


async def test_who_was_overtaken_finds_it_out_by_its_own_write_which_counts_for_nobody() -> None:
    broker = Broker()
    zombie = await Member(broker, "zombie").own()
    await zombie.put((b"B1", b"1"), (b"B2", b"1"))
    successor = await Member(broker, "successor").own()
    await successor.put((b"B1", b"2"))
    with pytest.raises(OwnershipLostError, match="by another at 3"):
        await zombie.put((b"B1", b"stale"), (b"B3", b"stale"))
    assert zombie.table.rows == {b"B1": b"1", b"B2": b"1"}
    assert broker.counting() == {b"B1": b"2", b"B2": b"1"}
    with pytest.raises(OwnershipLostError, match="not claimed"):
        await zombie.put((b"B1", b"stale again"))
    # The owner sees the stranger's rows at its next write, and puts its own behind them.
    await successor.put((b"B4", b"1"))
    await successor.changelog.heal()
    newest = {record.key: record.value for record in broker.records if record.key != claim_key(0)}
    assert newest == {b"B1": b"2", b"B2": b"1", b"B3": None, b"B4": b"1"}
    assert successor.table.rows == {**broker.counting()}


async def test_a_row_that_counts_stays_so_whatever_arrives_between_any_two_writes() -> None:
    for first_arrives in range(6):
        broker = Broker()
        owner = await Member(broker, "owner").own()
        zombie_row = Message(LOG, 0, b"B1", b"stale", standing_on(-1 if first_arrives % 2 else 0))
        for number in range(5):
            if number == first_arrives:
                successor = await Member(broker, "successor").own()
                owner.log.before = partial(broker.append, zombie_row)
                with pytest.raises(OwnershipLostError):
                    await owner.put((b"B1", b"late"))
                assert successor.table.rows.get(b"B1") == broker.counting().get(b"B1")
                owner = successor
            await owner.put((b"B1", str(number).encode()))
            await owner.changelog.heal()
        assert owner.table.rows == broker.counting() == {b"B1": b"4"}


@pytest.mark.parametrize("how", ["written", "half", "later", "lost"])
async def test_a_write_without_an_answer_is_parted_from_its_repetition_by_a_new_claim(how: str) -> None:
    broker = Broker()
    owner = await Member(broker, "owner").own()
    await owner.put((b"B1", b"1"))
    owner.log.unclear = [how]
    await owner.put((b"B1", b"2"), (b"B2", b"2"))
    await owner.put((b"B1", b"3"))
    for message in owner.log.delayed:
        broker.append(message)
    assert broker.counting() == {b"B1": b"3", b"B2": b"2"}
    # Late rows of its own count for nobody, and the owner puts the good ones behind them.
    await owner.changelog.look({0: len(broker.records)})
    await owner.changelog.heal()
    assert owner.table.rows == {b"B1": b"3", b"B2": b"2"}
    assert {r.key: r.value for r in broker.records if r.key != claim_key(0)} == owner.table.rows


async def test_an_answer_that_was_missed_while_another_took_over_ends_in_nothing() -> None:
    broker = Broker()
    owner = await Member(broker, "owner").own()
    await owner.put((b"B1", b"1"))
    successor = await Member(broker, "successor").own()
    await successor.put((b"B1", b"2"))
    owner.log.unclear = ["written"]
    with pytest.raises(OwnershipLostError):
        await owner.put((b"B1", b"stale"))
    assert broker.counting() == {b"B1": b"2"}
    # The loser's claim stands last all the same: the owner finds it, and claims anew.
    with pytest.raises(OwnershipLostError):
        await successor.put((b"B1", b"3"))
    await successor.changelog.claim([0])
    await successor.put((b"B1", b"3"))
    assert successor.table.rows == broker.counting() == {b"B1": b"3"}


async def test_who_claims_the_same_partition_at_the_same_time_is_never_taken_for_the_other() -> None:
    broker = Broker()
    one, two = Member(broker, "one"), Member(broker, "two")
    await one.own()
    # Both had read to the same end before either claimed.
    await two.own()
    with pytest.raises(OwnershipLostError):
        await one.put((b"B1", b"one"))
    await two.put((b"B1", b"two"))
    assert broker.counting() == {b"B1": b"two"}


async def test_a_row_removed_by_hand_is_noticed_by_the_owner_while_it_has_nothing_to_write() -> None:
    broker = Broker()
    owner = await Member(broker, "owner").own()
    await owner.put((b"B1", b"1"))
    await owner.changelog.look({0: len(broker.records)})
    broker.append(Message(LOG, 0, b"B1", None))
    with pytest.raises(OwnershipLostError):
        await owner.changelog.look({0: len(broker.records)})
    await owner.changelog.claim([0])
    assert owner.table.rows == {b"B1": None}


async def test_records_without_a_key_or_with_a_damaged_header_are_passed_over() -> None:
    broker = Broker()
    owner = await Member(broker, "owner").own()
    broker.append(Message(LOG, 0, None, b"what"))
    broker.append(Message(LOG, 0, b"B1", b"what", (("claim", b"\xff"),)))
    await owner.put((b"B1", b"1"))
    assert owner.table.rows == broker.counting() == {b"B1": b"1"}


async def test_a_log_that_is_shorter_than_what_was_read_of_it_is_refused() -> None:
    owner = await Member(Broker(), "owner").own()
    await owner.put((b"B1", b"1"))
    owner.log.broker = Broker()
    with pytest.raises(ChangelogError, match="ends at 0, but was read to 2"):
        await owner.changelog.claim([0])


class Sent:
    """The other topics and the offsets, with everything in the order it was written."""

    def __init__(self, broker: Broker) -> None:
        self.steps: list[str] = []
        self._broker = broker

    async def write(self, messages: Sequence[Message]) -> list[int]:
        self.steps += [f"{each.topic}@{len(self._broker.records)}" for each in messages]
        return list(range(len(messages)))

    def done(self, next_offsets: object) -> None:
        self.steps.append(f"done {next_offsets}")


def decided() -> BatchResult:
    letter = DeadLetter(Record(0, 6, b"B1", b"{", 0), "invalid_event", "no JSON")
    outgoing = [(0, OutboxEntry("action", 5, b"B1", b"a")), (0, OutboxEntry("label", 5, b"B1", b"l"))]
    return BatchResult(rows={"B1": (0, b"row")}, outgoing=outgoing, dead_letters=[letter])


async def test_a_batch_is_written_in_its_order_and_nothing_is_sent_of_one_that_does_not_count() -> None:
    broker = Broker()
    owner = await Member(broker, "owner").own()
    sent = Sent(broker)
    writer = Writer(sent, owner.changelog, sent)
    await writer.write(decided(), {0: range(5, 7)})
    assert sent.steps == ["riskmon.deadletter@1", "riskmon.actions@2", "riskmon.labels@2", "done {0: 7}"]

    sent.steps.clear()
    await Member(broker, "successor").own()
    with pytest.raises(OwnershipLostError):
        await writer.write(decided(), {0: range(5, 7)})
    assert sent.steps == ["riskmon.deadletter@3"]


async def test_what_is_not_claimed_is_not_looked_at() -> None:
    """A worker in a recovery, or one that has lost a partition, waits to be loaded."""
    broker = Broker()
    await (await Member(broker, "owner").own()).put((b"B1", b"1"))
    newcomer = Member(broker, "newcomer")
    await newcomer.changelog.look({0: len(broker.records)})
    assert newcomer.table.rows == {}
