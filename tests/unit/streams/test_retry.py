"""Trying again until Kafka answers: what passes, what is raised, and who may end it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from streams.kafka.connection import BrokerAwayError
from streams.kafka.retry import GivenUpError, is_kafkas, is_passing, retried


def failing(*errors: BaseException) -> Callable[[], Awaitable[str]]:
    """Work that raises these in turn, and then is done."""
    left = list(errors)

    async def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


async def test_what_kafka_says_is_noted_and_tried_again() -> None:
    errors = [KafkaConnectionError(), BrokerAwayError("away"), TimeoutError(), OSError()]
    noted: list[BaseException] = []
    assert await retried(failing(*errors), noted.append, seconds=0) == "done"
    assert noted == errors


async def test_anything_else_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await retried(failing(ZeroDivisionError()), lambda _: None, seconds=0)
    assert is_kafkas(TopicAuthorizationFailedError())
    with pytest.raises(TopicAuthorizationFailedError):
        await retried(failing(TopicAuthorizationFailedError()), lambda _: None, again=is_passing, seconds=0)


async def test_a_request_that_the_client_cancels_is_tried_again() -> None:
    """So aiokafka ends requests on a connection that it gives up; a learner once took that for its own end."""
    noted: list[BaseException] = []
    assert await retried(failing(asyncio.CancelledError()), noted.append, again=is_passing, seconds=0) == "done"
    assert [type(each) for each in noted] == [GivenUpError]


@pytest.mark.parametrize("seconds", [0, 1000])
async def test_a_cancel_of_our_own_ends_it(seconds: float) -> None:
    async def never() -> None:
        await asyncio.sleep(0.01)
        raise TimeoutError

    task = asyncio.create_task(retried(never, lambda _: None, seconds=seconds))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
