"""The contract of actions."""

import pytest
from pydantic import ValidationError

from streams.contracts.actions import Action
from tests.support.factories import action


def test_an_action_survives_the_topic() -> None:
    told = action(arrears="399999999999999.9")
    assert Action.model_validate_json(told.model_dump_json()) == told
    assert '"arrears":"399999999999999.90"' in told.model_dump_json()


@pytest.mark.parametrize(
    "change", [{"arrears": "-0.01"}, {"arrears": "0.001"}, {"arrears": "NaN"}, {"score": 1.5}, {"surprise": 1}]
)
def test_what_no_action_says_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        action(**change)
