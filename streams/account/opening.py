"""A loan as its opening tells of it: terms that add up become obligations, others are refused with the field named."""

from __future__ import annotations

from datetime import date

from streams.account.loan import Loan, Run
from streams.account.obligations import monthly_amount
from streams.account.rules import MAX_DAYS_TO_FIRST_DUE
from streams.account.schedules import check_total, runs_of
from streams.account.standing import outstanding_principal
from streams.contracts.events import LoanOpened, Profile, RevolvingTerms, ScheduledTerms, Terms
from streams.contracts.money import to_minor
from streams.contracts.refusals import EventRefusedError


def open_loan(event: LoanOpened, opened: int, name: int) -> Loan:
    """The loan on the day it was opened; `name` is the digest of the event's id. Raises `EventRefusedError`."""
    terms = event.terms
    if isinstance(terms, RevolvingTerms):
        limit = to_minor(terms.credit_limit)
        return _loan(event, opened, name, limit, terms.annual_rate_e4, 0, 0, opened)
    if isinstance(terms, ScheduledTerms):
        return _scheduled(event, terms, opened, name)
    _check_first_due(terms.first_due_date.toordinal(), opened, "terms.first_due_date")
    principal, emi = to_minor(terms.principal), to_minor(terms.emi)
    check_total(emi * terms.tenure_months, principal, "terms.emi")
    first_due, less = terms.first_due_date.toordinal(), _last_less(terms)
    return _loan(event, opened, name, principal, terms.annual_rate_e4, terms.tenure_months, emi, first_due, less)


def _scheduled(event: LoanOpened, terms: ScheduledTerms, opened: int, name: int) -> Loan:
    runs, principal = runs_of(terms.schedule, "terms.schedule"), to_minor(terms.principal)
    _check_first_due(runs[0].first_due, opened, "terms.schedule.0.first_due_date")
    total = sum(run.count * run.amount for run in runs)
    if total < principal:
        raise EventRefusedError("bad_terms", "terms.schedule: all instalments together are less than the principal")
    check_total(total, principal, "terms.schedule")
    longest = max(runs, key=lambda run: run.count)
    count = sum(run.count for run in runs)
    return _loan(
        event, opened, name, principal, terms.annual_rate_e4, count, monthly_amount(longest), runs[0].first_due, 0, runs
    )


def _loan(
    event: LoanOpened,
    opened: int,
    name: int,
    principal: int,
    annual_rate_e4: int,
    tenure: int,
    emi: int,
    first_due: int,
    last_less: int = 0,
    runs: tuple[Run, ...] = (),
) -> Loan:
    profile: Profile = event.profile
    return Loan(
        loan_id=event.loan_id,
        opened_day=opened,
        principal=principal,
        emi=emi,
        annual_rate_e4=annual_rate_e4,
        tenure=tenure,
        first_due=first_due,
        monthly_income=to_minor(profile.monthly_income),
        collateral=to_minor(profile.collateral_value),
        employment=profile.employment_type,
        status_since=opened,
        opened_by=name,
        last_less=last_less,
        runs=runs,
    )


def _last_less(terms: Terms) -> int:
    """By how much the last instalment of an annuity is smaller, since the others were rounded up."""
    emi, rate = to_minor(terms.emi), terms.annual_rate_e4
    left = outstanding_principal(to_minor(terms.principal), emi, rate, terms.tenure_months - 1)
    last = left + round(left * rate / 12_000_000)
    # Terms under which the loan would be repaid long before are taken as they stand.
    return emi - last if 0 < last < emi else 0


def _check_first_due(first_due: int, opened: int, field: str) -> None:
    if not 0 <= first_due - opened <= MAX_DAYS_TO_FIRST_DUE:
        raise EventRefusedError(
            "bad_terms",
            f"{field}: not within {MAX_DAYS_TO_FIRST_DUE} days after {date.fromordinal(opened)}, the opening",
        )
