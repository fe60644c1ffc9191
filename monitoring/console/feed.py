"""From the topics to the board: one consumer without a group, which commits nothing and so disturbs nobody."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from monitoring.console.board import Board
from streams.account.changelog import Claims, Verdict, is_clock
from streams.account.codec import decode_clock, decode_state
from streams.config.settings import Settings
from streams.contracts.actions import Action
from streams.contracts.labels import Label
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS, MODELS, changelog_name
from streams.kafka.admin import TopicError, partitions_of
from streams.kafka.connection import BrokerAwayError, Connection
from streams.kafka.dead_letters import filed_letter, is_receipt
from streams.kafka.group import GroupProgress, group_progress
from streams.kafka.reader import newest, note_foreign
from streams.kafka.retry import is_kafkas, is_passing, retried
from streams.kafka.snapshots import HELD_KEY, ONLINE_KEY, Judge, found_snapshot

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
# How much of the past is read at the start, records of a topic; the changelog is read as a whole.
_BACKLOG = {LABELS: 20_000, MODELS: 60, DEADLETTER: 5_000}


class Feed:
    """Keeps a board current until cancelled, however often Kafka goes away."""

    def __init__(self, kafka: Connection, settings: Settings, board: Board) -> None:
        self._kafka = kafka
        self._group = settings.application
        self._changelog = changelog_name(settings.application)
        self._board = board
        self._judge = Judge(settings.snapshot_move)
        self._backlog = {**_BACKLOG, ACTIONS: settings.console_actions}
        self._claims = Claims()
        self._next: dict[TopicPartition, int] = {}
        self._goal: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Follow the topics; where they cannot be read, say so on the board and try again.

        Whatever else ends it is said on the board, which from then on stands still: only a restart helps.
        """
        try:
            await retried(self._follow, self._note, again=lambda each: isinstance(each, TopicError) or is_kafkas(each))
        except Exception as error:
            _log.exception("the console's feed has ended")
            self._board.end(_now(), f"the console no longer follows the topics and must be restarted: {error!r}")
            raise

    async def _follow(self) -> None:
        events = await partitions_of(self._kafka, EVENTS)
        followed = await partitions_of(self._kafka, self._changelog, *self._backlog)
        consumer = self._kafka.consumer(auto_offset_reset="earliest")
        look = None
        try:
            await self._kafka.start(consumer)
            if not self._next:
                await self._plan(consumer, followed)
            consumer.assign(followed)
            for part, offset in self._next.items():
                consumer.seek(part, offset)
            look = asyncio.create_task(self._look(consumer, events))
            while True:
                if look.done():
                    look.result()
                for part, messages in (await consumer.getmany(timeout_ms=500, max_records=500)).items():
                    self._take(part, messages)
                self._note_backlog()
        finally:
            if look is not None:
                look.cancel()
            await consumer.stop()

    async def _plan(self, consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> None:
        """Where to begin: the whole changelog, and a bounded part of the rest."""
        width = Counter(part.topic for part in parts)
        self._next = await consumer.beginning_offsets(parts)
        for topic, most in self._backlog.items():
            of_topic = [part for part in parts if part.topic == topic]
            self._next |= await newest(consumer, of_topic, max(most // width[topic], 1))
        ends = await consumer.end_offsets(parts)
        self._goal = {part: end for part, end in ends.items() if end > self._next[part]}
        self._board.backlog = sum(end - self._next[part] for part, end in self._goal.items())

    def _note_backlog(self) -> None:
        board = self._board
        if board.told_since is not None:
            return
        left = sum(max(end - self._next[part], 0) for part, end in self._goal.items())
        board.backlog_read = board.backlog - left
        if not left:
            board.actions.in_order_of_decision()
            board.told_since = _now()

    async def _look(self, consumer: AIOKafkaConsumer, events: list[TopicPartition]) -> None:
        """See now and then how far topic and workers are, and by that whether Kafka answers at all."""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    ends = await consumer.end_offsets(events)
                    progress = await group_progress(self._kafka, self._group, EVENTS)
            except (KafkaError, BrokerAwayError, TimeoutError) as error:
                self._note(error)
            else:
                self._take_progress(ends, progress)
            await asyncio.sleep(_LOOK_SECONDS)

    def _note(self, error: BaseException) -> None:
        if isinstance(error, TopicError):
            self._board.set_link("waiting", _now(), str(error))
        elif is_passing(error):
            self._board.set_link("away", _now())
        else:
            _log.warning("the topics cannot be read, trying again: %s", error)
            self._board.set_link("failed", _now(), f"Kafka refuses to be read: {error}")

    def _take_progress(self, ends: Mapping[TopicPartition, int], progress: GroupProgress) -> None:
        now = _now()
        self._board.stream.take_progress({tp.partition: end for tp, end in ends.items()}, progress, now.timestamp())
        self._board.set_link("live" if self._board.told_since else "loading", now)
        if self._board.told_since:
            self._board.sample(now.timestamp())

    def _take(self, part: TopicPartition, messages: list[ConsumerRecord]) -> None:
        for message in messages:
            try:
                self._dispatch(message)
            # Whatever a stranger's message breaks must not break the feed.
            except Exception as error:
                self._board.unreadable += 1
                # Not the error's own text, which may repeat what the message holds.
                note_foreign(message, type(error).__name__)
            self._next[part] = message.offset + 1

    def _dispatch(self, message: ConsumerRecord) -> None:
        board, written, value = self._board, message.timestamp / 1000, message.value or b""
        if message.topic == self._changelog:
            self._take_row(message)
        elif message.topic == ACTIONS:
            board.actions.take(Action.model_validate_json(value), written)
        elif message.topic == LABELS:
            board.quality.take_label(Label.model_validate_json(value), message.offset + 1)
        elif message.topic == MODELS:
            self._take_snapshot(message, written)
        elif is_receipt(message):
            board.stream.replayed += 1
        else:
            board.stream.take_dead_letter(filed_letter(message))

    def _take_snapshot(self, message: ConsumerRecord, written: float) -> None:
        """Show what workers score with: the same judge decides."""
        if message.value is None and message.key in (ONLINE_KEY, HELD_KEY):
            self._judge = Judge(self._judge.most_move)
            return
        found = found_snapshot(message)
        if self._judge.take(found, first=self._board.told_since is None) == "in force":
            self._board.quality.take_snapshot(found.snapshot, written)

    def _take_row(self, message: ConsumerRecord) -> None:
        portfolio, key, value = self._board.portfolio, message.key, message.value
        verdict = self._claims.judge(message.partition, message.offset, key, value, message.headers)
        if verdict is not Verdict.COUNTS:
            return
        if value is None:
            portfolio.remove(key.decode(errors="replace"))
        elif is_clock(key):
            portfolio.take_clock(decode_clock(value))
        else:
            portfolio.take_state(decode_state(value), message.offset)


def _now() -> datetime:
    return datetime.now(UTC)
