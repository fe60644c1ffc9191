from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker import LocalBroker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """One genuine Kafka for the whole run."""
    data: Path = tmp_path_factory.mktemp("kafka")
    with LocalBroker(data, port=0) as running:
        yield running
