"""Try again until Kafka answers: the one rule by which sink, feeds, gauges and watches wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.errors import (
    BrokerNotAvailableError,
    CorruptRecordException,
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    ReplicaNotAvailableError,
    UnknownProducerId,
)
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_fixed

from streams.kafka.connection import BrokerAwayError

RETRY_SECONDS = 2.0
# aiokafka does not call these retriable, since the same client cannot go on; a new one can.
_PASS_WITH_A_NEW_CLIENT = (
    BrokerNotAvailableError,
    CorruptRecordException,
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaTimeoutError,
    KafkaUnavailableError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    ReplicaNotAvailableError,
    UnknownProducerId,
)
_Result = TypeVar("_Result")


def is_passing(error: BaseException) -> bool:
    """Whether waiting mends the error: Kafka is away, has no leader now, or has forgotten this client."""
    if isinstance(error, KafkaError):
        return bool(error.retriable) or isinstance(error, _PASS_WITH_A_NEW_CLIENT)
    return isinstance(error, BrokerAwayError | OSError | TimeoutError)


def is_kafkas(error: BaseException) -> bool:
    """Whether Kafka or the way to it failed, whatever waiting does about it."""
    return isinstance(error, KafkaError | BrokerAwayError | OSError | TimeoutError)


async def retried(
    work: Callable[[], Awaitable[_Result]],
    note: Callable[[BaseException], None],
    *,
    again: Callable[[BaseException], bool] = is_kafkas,
    seconds: float = RETRY_SECONDS,
) -> _Result:
    """Do the work, again after each failure that `again` accepts; `note` hears of each such failure before the pause.

    Any other failure is raised as it is. Readers that only show something try again after whatever Kafka says; a
    writer gives up where waiting mends nothing (`is_passing`).
    """

    def before_pause(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            note(error)

    async for attempt in AsyncRetrying(
        retry=retry_if_exception(again), wait=wait_fixed(seconds), before_sleep=before_pause, reraise=True
    ):
        with attempt:
            return await _told_from_a_cancel(work)
    raise AssertionError("the loop ends only with a result or an error")


async def _told_from_a_cancel(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Do the work; a request that the client itself cancels is no cancel of ours."""
    try:
        return await work()
    except asyncio.CancelledError:
        if is_being_cancelled():
            raise
        raise GivenUpError from None


def is_being_cancelled() -> bool:
    """Whether this task is to end. aiokafka also cancels requests, as it closes a connection that is dead."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class GivenUpError(KafkaConnectionError):  # type: ignore[misc]
    """The client gave up a request to a broker that does not answer."""
