"""A portfolio's life as events, day after day, in the order in which they are published.

Each borrower draws from a random stream of its own, so more days or more borrowers change nobody's fate.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import NamedTuple

from producers.simulator.behaviour import Choice, PaymentBehaviour, Shock
from producers.simulator.portfolio import Borrower, draw_borrower, draw_terms
from streams.contracts.due_dates import due_day, instalments_due_before
from streams.contracts.events import (
    AccountEvent,
    DayClosed,
    EmiMissed,
    Event,
    LoanClosed,
    LoanOpened,
    PaymentReceived,
    PaymentReversed,
)

# When a borrower's month is reviewed: a habit of the simulation, whatever grace the lender gives.
_REVIEW_DAYS = 3
_OPENING_DAYS = 40
_WRITE_OFF_MONTHS = 8
_CHANNELS = ("direct_debit", "bank_transfer", "card", "upi", "cheque", "cash")
_CHANNEL_WEIGHTS = (50, 22, 8, 12, 4, 4)


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate; `days` None goes on without end.

    `grace_days` is the lender's grace: the day after it, an unpaid instalment is reported missed. Nothing else follows.
    """

    borrowers: int = 500
    days: int | None = None
    seed: int = 7
    start: date = date(2025, 1, 1)
    partitions: int = 4
    shock: Shock | None = None
    grace_days: int = 3


class Emission(NamedTuple):
    """An event to publish; the ticks name their partition, all else goes where its key leads."""

    partition: int | None
    key: bytes | None
    event: Event


def simulate(config: SimulationConfig) -> Iterator[Emission]:
    """All events, each day's in time order, then the tick that closes the day on every partition."""
    lives = [_Life(config, number) for number in range(config.borrowers)]
    first = config.start.toordinal()
    agenda: list[tuple[int, int]] = [(life.next_day, number) for number, life in enumerate(lives)]
    heapq.heapify(agenda)
    for offset in count() if config.days is None else range(config.days):
        day = first + offset
        if config.shock and config.shock.day == offset:
            for life in lives:
                life.suffer(config.shock)
        events: list[AccountEvent] = []
        while agenda and agenda[0][0] <= day:
            _, number = heapq.heappop(agenda)
            events.extend(lives[number].live(day))
            heapq.heappush(agenda, (lives[number].next_day, number))
        events.sort(key=lambda event: event.occurred_at)
        yield from (Emission(None, event.borrower_id.encode(), event) for event in events)
        yield from _ticks(date.fromordinal(day), config.partitions)


def _ticks(day: date, partitions: int) -> Iterator[Emission]:
    closed_at = datetime.combine(day, time(23, 59, 59), UTC)
    for partition in range(partitions):
        tick = DayClosed(
            event_id=f"day-{day.isoformat()}-{partition}",
            occurred_at=closed_at,
            business_date=day,
            partition=partition,
        )
        yield Emission(partition, None, tick)


class _Life:
    """One borrower through time: an agenda of what to do on which day, for one loan after another."""

    def __init__(self, config: SimulationConfig, number: int) -> None:
        self._draw = Random(f"{config.seed}/{number}")
        self._grace_days = config.grace_days
        self.borrower: Borrower = draw_borrower(f"S{config.seed}-B{number:06d}", self._draw)
        self._loans = 0
        self._loan: _Loan | None = None
        self._open_on = config.start.toordinal() + self._draw.randrange(_OPENING_DAYS)

    @property
    def next_day(self) -> int:
        """The day on which this borrower next does something."""
        return self._loan.next_day if self._loan else self._open_on

    def live(self, day: int) -> list[AccountEvent]:
        """What happens today."""
        if self._loan is None:
            return [self._open(day)]
        events = self._loan.act(day)
        if self._loan.closed is not None:
            wait = {"refinanced": 0, "settled": self._draw.randint(10, 60), "written_off": 100_000}[self._loan.closed]
            self._open_on = day + 1 + wait
            self._loan = None
        return events

    def suffer(self, shock: Shock) -> None:
        """Take part in a shock to the portfolio."""
        lost = self._draw.random() < shock.job_losses
        if self._loan is not None:
            self._loan.behaviour.raise_rates(shock.rate_rise)
            if lost:
                self._loan.behaviour.lose_job()

    def _open(self, day: int) -> LoanOpened:
        self._loans += 1
        loan_id = f"{self.borrower.borrower_id.replace('-B', '-L')}-{self._loans}"
        opened = LoanOpened(
            event_id=f"{loan_id}-open",
            borrower_id=self.borrower.borrower_id,
            loan_id=loan_id,
            occurred_at=_moment(day, self._draw),
            profile=self.borrower.profile,
            terms=draw_terms(self.borrower, date.fromordinal(day), self._draw),
        )
        self._loan = _Loan(opened, self.borrower, self._draw, self._grace_days)
        return opened


class _Loan:
    """One loan's repayments. Amounts in cents, days as ordinals."""

    def __init__(self, opened: LoanOpened, borrower: Borrower, draw: Random, grace_days: int) -> None:
        self._opened = opened
        self._grace_days = grace_days
        self._draw = draw
        self.behaviour = PaymentBehaviour(borrower, opened.annuity, draw)
        self.closed: str | None = None
        self._emi = int(opened.annuity.emi * 100)
        self._first_due = opened.annuity.first_due_date.toordinal()
        self._payments: list[tuple[int, int]] = []
        self._sent = 0
        self._channel = draw.choices(_CHANNELS, _CHANNEL_WEIGHTS)[0]
        self._agenda: list[tuple[int, int, str, int]] = []
        self._order = count()
        self._plan(self._due(1) - 4, "decide", 1)

    @property
    def next_day(self) -> int:
        return self._agenda[0][0]

    def act(self, day: int) -> list[AccountEvent]:
        """Do all that is on the agenda up to today."""
        events: list[AccountEvent] = []
        while self.closed is None and self._agenda and self._agenda[0][0] <= day:
            _, _, what, number = heapq.heappop(self._agenda)
            if what == "decide":
                self._decide(number)
            elif what == "pay":
                events.extend(self._pay(day, number))
            elif what == "reverse":
                events.append(self._reverse(day, number))
            elif what == "report":
                events.extend(self._report(day, number))
            else:
                events.extend(self._review(day, number))
        events.sort(key=lambda event: event.occurred_at)
        return events

    def _due(self, number: int) -> int:
        return due_day(self._first_due, number)

    def _plan(self, day: int, what: str, number: int) -> None:
        heapq.heappush(self._agenda, (day, next(self._order), what, number))

    def _paid_by(self, day: int) -> int:
        return sum(amount for value_day, amount in self._payments if value_day <= day)

    def _behind(self, day: int) -> int:
        """Whole instalments in arrears on that day."""
        due = instalments_due_before(self._first_due, self._opened.annuity.tenure_months, day)
        return max(due - self._paid_by(day) // self._emi, 0)

    def _decide(self, number: int) -> None:
        """Four days before the due date: what will be paid for this instalment, and when."""
        due = self._due(number)
        self._plan(due + self._grace_days + 1, "report", number)
        self._plan(due + _REVIEW_DAYS + 1, "review", number)
        self.behaviour.month(date.fromordinal(due).month)
        behind = self._behind(due)
        choice = self.behaviour.choose(behind)
        if choice is Choice.EARLY:
            self._plan(due - self._draw.randint(1, 4), "pay", self._emi)
        elif choice is Choice.ON_TIME:
            over = self._emi // 4 if self._draw.random() < 0.02 else 0
            self._plan(due + self._draw.choice((0, 0, 0, 0, 1, 2)), "pay", self._emi + over)
        elif choice is Choice.LATE:
            self._plan(due + self._draw.randint(4, 26), "pay", self._emi)
        elif choice is Choice.PARTIAL:
            self._plan(due + self._draw.randint(0, 12), "pay", int(self._emi * self._draw.uniform(0.2, 0.8)))
        if behind and choice is not Choice.NOTHING and self.behaviour.catches_up():
            arrears = behind * self._emi - self._paid_by(due) % self._emi
            self._plan(due + self._draw.randint(2, 20), "pay", arrears)

    def _pay(self, day: int, amount: int) -> Iterator[AccountEvent]:
        left = self._opened.annuity.tenure_months * self._emi - self._paid_by(day)
        if left <= 0:
            return
        amount = min(amount, left)
        self._sent += 1
        self._payments.append((day, amount))
        yield PaymentReceived(
            **self._names(f"pay-{self._sent}", day),
            amount=Decimal(amount) / 100,
            channel=self._channel,
            value_date=date.fromordinal(day),
        )
        if self.behaviour.bounces():
            self._plan(day + self._draw.randint(1, 5), "reverse", self._sent)
        elif amount == left:
            yield self._close(day, "settled")

    def _reverse(self, day: int, payment: int) -> PaymentReversed:
        value_day, amount = self._payments[payment - 1]
        self._payments[payment - 1] = (value_day, 0)
        if self._draw.random() < 0.6:
            self._plan(day + self._draw.randint(1, 8), "pay", amount)
        return PaymentReversed(
            **self._names(f"reverse-{payment}", day),
            payment_event_id=f"{self._opened.loan_id}-pay-{payment}",
            payment_value_date=date.fromordinal(value_day),
            reason="cheque_bounced" if self._channel == "cheque" else "insufficient_funds",
        )

    def _report(self, day: int, number: int) -> Iterator[AccountEvent]:
        """The day after grace: report an instalment that is not paid. Draws nothing, so that grace changes no fate."""
        if self._paid_by(self._due(number) + self._grace_days) < number * self._emi:
            event_id = f"{self._opened.loan_id}-missed-{number}"
            yield EmiMissed(
                event_id=event_id,
                borrower_id=self._opened.borrower_id,
                loan_id=self._opened.loan_id,
                occurred_at=_moment(day, Random(event_id)),
                instalment_number=number,
                due_date=date.fromordinal(self._due(number)),
            )

    def _review(self, day: int, number: int) -> Iterator[AccountEvent]:
        """Write off what is hopeless, close a few loans early; then the next month, or the loan's end."""
        if self._paid_by(self._due(number) + _REVIEW_DAYS) < number * self._emi:
            # Reports once drew their moment here; drawing on keeps the payments of every seed as they were.
            _moment(day, self._draw)
        if self._behind(day) >= _WRITE_OFF_MONTHS:
            yield self._close(day, "written_off")
        elif self._behind(day) == 0 and self._draw.random() < 0.004:
            yield self._close(day, self._draw.choice(("settled", "refinanced")))
        elif number < self._opened.annuity.tenure_months:
            self._plan(self._due(number + 1) - 4, "decide", number + 1)
        else:
            self._wind_up(day, number)

    def _wind_up(self, day: int, number: int) -> None:
        """After the last instalment what is still owed comes in late, or is reviewed until it is written off."""
        if self.behaviour.catches_up():
            self._plan(day + self._draw.randint(1, 20), "pay", self._opened.annuity.tenure_months * self._emi)
        self._plan(day + 30, "review", number)

    def _close(self, day: int, reason: str) -> LoanClosed:
        self.closed = reason
        return LoanClosed.model_validate({**self._names("close", day, last=True), "reason": reason})

    def _names(self, what: str, day: int, last: bool = False) -> dict[str, object]:
        moment = datetime.combine(date.fromordinal(day), time(22), UTC) if last else _moment(day, self._draw)
        return {
            "event_id": f"{self._opened.loan_id}-{what}",
            "borrower_id": self._opened.borrower_id,
            "loan_id": self._opened.loan_id,
            "occurred_at": moment,
        }


def _moment(day: int, draw: Random) -> datetime:
    """Some second of the business day, between six in the morning and ten at night."""
    return datetime.combine(date.fromordinal(day), time(6), UTC) + timedelta(seconds=draw.randrange(16 * 3600))
