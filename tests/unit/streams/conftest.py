import pytest

from streams.score import ModelSet
from tests.support.engine import small_book


@pytest.fixture(scope="session")
def book() -> ModelSet:
    """A real, small forest: risk rises with days past due."""
    return small_book()
