"""Terms that change: from a day on another schedule falls due, and what was late before stays told.

The terms in force follow from the changes by their effective days, in whatever order they were told, and from what was
paid by then: a re-ageing takes over what was in arrears. Obligations due before a change keep their numbers.
"""

from __future__ import annotations

from msgspec.structs import replace

from streams.account.loan import Change, Loan, OriginalTerms, Run, digest
from streams.account.obligations import monthly_amount, planned_before
from streams.account.payments import paid_by
from streams.account.rules import MAX_CHANGES, MAX_DAYS_TO_FIRST_DUE
from streams.account.schedules import check_total, runs_of
from streams.contracts.events import TermsChanged, TermsChangeReversed
from streams.contracts.refusals import EventRefusedError


def change(event: TermsChanged, loan: Loan, name: int, happened: int, oldest_day: int) -> Loan:
    """The loan with one more change. Raises `EventRefusedError`."""
    effective = event.effective_date.toordinal()
    _refuse_revolving(loan)
    if loan.closed and happened > loan.closed_day:
        raise EventRefusedError("loan_closed", "loan_id: the loan was closed before")
    if effective < max(oldest_day, loan.folded_to):
        raise EventRefusedError("too_late", "effective_date: lies before the ledger window")
    if effective - happened > MAX_DAYS_TO_FIRST_DUE:
        raise EventRefusedError("bad_terms", f"effective_date: more than {MAX_DAYS_TO_FIRST_DUE} days after the event")
    runs = runs_of(event.schedule, "schedule")
    if runs[0].first_due < effective:
        raise EventRefusedError("bad_terms", "schedule.0.first_due_date: before effective_date")
    check_total(sum(run.count * run.amount for run in runs), loan.principal, "schedule")
    rate = -1 if event.annual_rate is None else int(event.annual_rate * 10_000)
    told = Change(name, effective, runs, event.kind == "re_age", rate, event.forbearance)
    known = next((each for each in loan.changes if each.name == name), None)
    return _with(loan, replace(told, is_void=known is not None and known.is_void))


def take_back(event: TermsChangeReversed, loan: Loan, oldest_day: int) -> Loan:
    """The loan as if a change had never been told; that change may still be to come. Raises `EventRefusedError`."""
    effective, name = event.effective_date.toordinal(), digest(event.change_event_id)
    _refuse_revolving(loan)
    if effective < max(oldest_day, loan.folded_to):
        raise EventRefusedError("too_late", "effective_date: lies before the ledger window")
    known = next((each for each in loan.changes if each.name == name), Change(name, effective))
    return _with(loan, replace(known, is_void=True))


def derive_terms(loan: Loan) -> Loan:
    """The loan with the terms that its changes and its ledger give."""
    return _terms_by(loan, 10**9) if loan.changes else loan


def versions(loan: Loan, until: int) -> list[tuple[Loan, int]]:
    """The loan as its terms were, each with the last day on which they were in force, up to a day."""
    days = sorted({each.effective for each in loan.changes if not each.is_void and each.effective <= until})
    return [(_terms_by(loan, day - 1), day - 1) for day in days] + [(_terms_by(loan, until), until)]


def terms_on(loan: Loan, day: int) -> Loan:
    """The loan as its terms were on a day."""
    return _terms_by(loan, day) if loan.changes else loan


def fold_changes(loan: Loan, horizon: int) -> Loan:
    """Make those changes part of the original terms that took effect before the ledger window."""
    if not loan.changes or loan.changes[0].effective >= horizon:
        return loan
    then = _terms_by(loan, horizon - 1)
    original = OriginalTerms(then.runs, then.annual_rate_e4, then.forborne_on)
    return replace(loan, original=original, changes=tuple(each for each in loan.changes if each.effective >= horizon))


def is_changed(loan: Loan, first: int, last: int) -> bool:
    """Whether other terms took effect on one of these days."""
    return any(first <= each.effective <= last and not each.is_void for each in loan.changes)


def _refuse_revolving(loan: Loan) -> None:
    if not loan.tenure:
        raise EventRefusedError("bad_terms", "loan_id: a revolving loan has no schedule that could change")


def _terms_by(loan: Loan, day: int) -> Loan:
    original = loan.original or _original(loan)
    runs, rate, forborne = original.runs, original.annual_rate_e4, original.forborne_on
    newest = runs
    for each in loan.changes:
        if each.effective <= day and not each.is_void:
            runs, newest = _changed(runs, each, paid_by(loan, each.effective - 1)), each.runs
            rate = rate if each.annual_rate_e4 < 0 else each.annual_rate_e4
            forborne = each.effective if each.is_forbearance else forborne
    # What the models are told of a schedule is its longest run, by the month.
    emi = monthly_amount(max(newest, key=lambda run: run.count))
    return replace(loan, original=original, runs=runs, emi=emi, annual_rate_e4=rate, forborne_on=forborne)


def _original(loan: Loan) -> OriginalTerms:
    """The terms of a loan that were never changed."""
    runs = loan.runs
    if not runs:
        whole = Run(loan.first_due, loan.tenure, loan.emi)
        last = replace(whole, count=1, amount=loan.emi - loan.last_less, skipped=loan.tenure - 1)
        parts = (replace(whole, count=loan.tenure - 1), last) if loan.last_less else (whole,)
        runs = tuple(run for run in parts if run.count)
    return OriginalTerms(runs, loan.annual_rate_e4, loan.forborne_on)


def _changed(runs: tuple[Run, ...], told: Change, paid: int) -> tuple[Run, ...]:
    """The obligations due before a change, then the new ones. A re-ageing leaves of the old ones what was paid."""
    kept: list[Run] = []
    before = 0
    for run in runs:
        count = planned_before(run, told.effective)
        if not count:
            break
        old = replace(run, count=count)
        kept.extend(_paid_part(old, paid - before) if told.is_re_age else (old,))
        before += count * run.amount
    return (*kept, *told.runs)


def _paid_part(run: Run, paid: int) -> list[Run]:
    """A run of which only so much was paid: whole obligations, one in part, and the others as nothing."""
    if not run.amount:
        return [run]
    whole = min(max(paid, 0) // run.amount, run.count)
    rest = max(paid, 0) - whole * run.amount if whole < run.count else 0
    parts = [(whole, run.amount), (1 if rest else 0, rest), (run.count - whole - (1 if rest else 0), 0)]
    found, taken = [], run.skipped
    for count, amount in parts:
        if count:
            found.append(replace(run, count=count, amount=amount, skipped=taken))
        taken += count
    return found


def _with(loan: Loan, told: Change) -> Loan:
    others = [each for each in loan.changes if each.name != told.name]
    if len(others) >= MAX_CHANGES:
        raise EventRefusedError("ledger_full", f"more than {MAX_CHANGES} changes of terms inside the ledger window")
    changes = tuple(sorted((*others, told), key=lambda each: (each.effective, each.name)))
    return replace(loan, changes=changes)
