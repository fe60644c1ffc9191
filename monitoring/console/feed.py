"""From the topics to the board: one consumer without a group, which commits nothing and so disturbs nobody."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from pydantic import ValidationError

from monitoring.console.board import Board
from streams.account.changelog import Claims, Verdict, is_clock
from streams.account.codec import decode_clock, decode_state
from streams.config.settings import Settings
from streams.contracts.actions import Action
from streams.contracts.labels import Label
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS, MODELS, changelog_name
from streams.kafka.admin import TopicError, partitions_of
from streams.kafka.connection import BrokerAwayError, Connection
from streams.kafka.dead_letters import filed_letter, is_receipt
from streams.kafka.group import GroupProgress, group_progress

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0
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
        self._backlog = {**_BACKLOG, ACTIONS: settings.console_actions}
        self._claims = Claims()
        self._next: dict[TopicPartition, int] = {}
        self._goal: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Follow the topics; where they cannot be read, say so on the board and try again."""
        while True:
            try:
                await self._follow()
            except (TopicError, BrokerAwayError, KafkaError) as error:
                self._note(error)
            await asyncio.sleep(_RETRY_SECONDS)

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
                for part, messages in (await consumer.getmany(timeout_ms=500, max_records=500)).items():
                    self._take(part, messages)
                self._note_backlog()
        finally:
            if look is not None:
                look.cancel()
            await consumer.stop()

    async def _plan(self, consumer: AIOKafkaConsumer, parts: list[TopicPartition]) -> None:
        """Where to begin: the whole changelog, and a bounded part of the rest."""
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        width = Counter(part.topic for part in parts)
        for part in parts:
            self._next[part] = begins[part]
            if part.topic != self._changelog:
                share = max(self._backlog[part.topic] // width[part.topic], 1)
                self._next[part] = max(begins[part], ends[part] - share)
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

    def _note(self, error: Exception) -> None:
        if isinstance(error, TopicError):
            self._board.set_link("waiting", _now(), str(error))
        elif isinstance(error, KafkaError) and not error.retriable and not isinstance(error, KafkaTimeoutError):
            _log.warning("the topics cannot be read, trying again: %s", error)
            self._board.set_link("failed", _now(), str(error))
        else:
            self._board.set_link("away", _now())

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
            except (msgspec.MsgspecError, ValidationError):
                self._board.unreadable += 1
                _log.warning("%s-%d@%d cannot be read", part.topic, part.partition, message.offset)
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
            board.quality.take_snapshot(ModelSnapshot.model_validate_json(value), written)
        elif is_receipt(message):
            board.stream.replayed += 1
        else:
            board.stream.take_dead_letter(filed_letter(message))

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
