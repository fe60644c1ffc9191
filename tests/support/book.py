"""A small book of loans played through the engine: events in the order of telling, and ticks between them."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from streams.account.codec import BorrowerState, decode_state
from streams.account.loan import Loan
from streams.account.rules import AccountRules
from streams.account.standing import Position, position
from streams.contracts.actions import Action
from streams.contracts.events import EVENTS, AccountEvent
from streams.contracts.labels import Label
from streams.contracts.records import DeadLetter, Record
from streams.contracts.vocabulary import Strategy
from streams.decide import Engine, Rules
from streams.evolve import close_day
from streams.score import ModelSet

PROFILE = {
    "age": 41,
    "gender": "undisclosed",
    "employment_type": "salaried",
    "monthly_income": "2600.00",
    "num_dependents": 0,
    "collateral_value": "0.00",
}


def at(day: str, clock: str = "10:00") -> datetime:
    """That moment, in UTC."""
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), UTC)


def event(
    kind: str, name: str, day: str, loan: str | None = "L", /, clock: str = "10:00", **fields: Any
) -> AccountEvent:
    """An event of borrower B."""
    found = EVENTS.validate_python(
        {"type": kind, "event_id": name, "borrower_id": "B", "loan_id": loan, "occurred_at": at(day, clock), **fields}
    )
    assert found.type != "day_closed"
    return found


def annuity(day: str, first_due: str, emi: str, tenure: int, principal: str, rate: str = "0") -> dict[str, Any]:
    """The fields of an opening with annuity terms, with the day at which it happens."""
    terms = {
        "principal": principal,
        "annual_rate": rate,
        "tenure_months": tenure,
        "emi": emi,
        "first_due_date": first_due,
    }
    return {"day": day, "profile": PROFILE, "terms": terms}


def opening(loan: str, **fields: Any) -> AccountEvent:
    """A loan_opened; `fields` are those of `annuity` or others like it."""
    return event("loan_opened", f"{loan}-open", fields.pop("day"), loan, **fields)


def pay(name: str, day: str, amount: str, loan: str = "L", told: str | None = None) -> AccountEvent:
    """A payment by its value date; told that day, unless another is given."""
    return event("payment_received", name, told or day, loan, amount=amount, channel="bank_transfer", value_date=day)


def reverse(name: str, of: str, value_day: str, day: str, loan: str = "L") -> AccountEvent:
    """A payment is taken back."""
    fields = {"payment_event_id": of, "payment_value_date": value_day, "reason": "cheque_bounced"}
    return event("payment_reversed", name, day, loan, **fields)


class Book:
    """An engine without models over one partition, and what became of the events of borrower B."""

    def __init__(self, rules: AccountRules | None = None) -> None:
        self.rules = Rules(rules or AccountRules(), days_ahead=None)
        self.table: dict[str, bytes] = {}
        self.letters: list[DeadLetter] = []
        self.actions: list[Action] = []
        self.labels: list[Label] = []
        self._engine = Engine(self.rules, self.table.get)
        self._offset = 0
        self._closed = 0

    def tell(self, *events: AccountEvent) -> None:
        """Publish these events, each on the day on which it happened."""
        for each in events:
            self._take(b"B", each.to_json(), each.occurred_at)

    def tell_on(self, day: str, *events: AccountEvent) -> None:
        """Publish these events on a later day."""
        for each in events:
            self._take(b"B", each.to_json(), at(day))

    def close(self, first: str, last: str) -> None:
        """Close each business day of a span."""
        day = date.fromisoformat(first)
        while day <= date.fromisoformat(last):
            moment = datetime.combine(day, time(23, 30), UTC)
            tick = {
                "type": "day_closed",
                "event_id": f"tick-{day}",
                "occurred_at": moment,
                "business_date": day,
                "partition": 0,
            }
            self._take(None, EVENTS.validate_python(tick).to_json(), moment)
            self._closed = day.toordinal()
            day += timedelta(days=1)

    def loan(self, name: str = "L") -> Loan:
        """The loan as it is kept."""
        return next(loan for loan in self.state.account.loans if loan.loan_id == name)

    def stands(self, name: str = "L") -> Position:
        """Where the loan stands, on the last day that was closed or told of."""
        account = close_day(self.state.account, self._closed, self.rules.account)
        return next(position(loan, loan.as_of, self.rules.account) for loan in account.loans if loan.loan_id == name)

    def facts(self, name: str = "L") -> tuple[int, int, Decimal]:
        """Days past due, missed count, arrears in units."""
        now = self.stands(name)
        return now.days_past_due, now.missed, Decimal(now.arrears) / self.loan(name).scale

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Reason and detail of every dead letter."""
        return [(letter.reason, letter.detail) for letter in self.letters]

    @property
    def state(self) -> BorrowerState:
        """The borrower's row."""
        return decode_state(self.table["B"])

    @property
    def strategy(self) -> Strategy:
        """The strategy in force."""
        return self.state.decision.strategy

    def _take(self, key: bytes | None, value: bytes, moment: datetime) -> None:
        record = Record(0, self._offset, key, value, int(moment.timestamp() * 1000))
        self._offset += 1
        result = self._engine.process([record], ModelSet(None), moment)
        self.table.update({name: row for name, (_, row) in result.rows.items()})
        self.letters.extend(result.dead_letters)
        self.actions.extend(result.actions)
        self.labels.extend(Label.model_validate_json(sent.value) for _, sent in result.outgoing if sent.kind == "label")
