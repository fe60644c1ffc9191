"""Bills of a revolving loan. A bill is one obligation; money paid before its statement has made the bill smaller."""

from __future__ import annotations

from msgspec.structs import replace

from streams.account.loan import Loan, Run
from streams.account.payments import paid_by
from streams.account.rules import MAX_BILLS, MAX_DAYS_TO_FIRST_DUE, AccountRules
from streams.contracts.events import InstalmentBilled
from streams.contracts.money import to_minor
from streams.contracts.refusals import EventRefusedError


def bill(event: InstalmentBilled, loan: Loan, happened: int, oldest_day: int, rules: AccountRules) -> Loan:
    """The loan with one more bill. Raises `EventRefusedError`."""
    if loan.tenure:
        raise EventRefusedError("bad_bill", "loan_id: what falls due on this loan follows from its terms")
    due = event.due_date.toordinal()
    statement = event.statement_date.toordinal() if event.statement_date else happened
    if due - happened > MAX_DAYS_TO_FIRST_DUE:
        raise EventRefusedError("bad_bill", f"due_date: more than {MAX_DAYS_TO_FIRST_DUE} days after the bill")
    if statement > due:
        raise EventRefusedError("bad_bill", "statement_date: after the due date")
    if due + rules.grace_days < max(oldest_day, loan.folded_to):
        raise EventRefusedError("too_late", "due_date: lies before the ledger window")
    if any(run.number == event.number for run in loan.runs):
        raise EventRefusedError("bad_bill", "number: another bill of the loan has it")
    if len(loan.runs) >= MAX_BILLS:
        raise EventRefusedError("ledger_full", f"more than {MAX_BILLS} bills are unpaid or inside the ledger window")
    new = Run(due, 1, to_minor(event.amount), number=event.number, billed_on=statement)
    runs = tuple(sorted((*loan.runs, new), key=lambda run: (run.first_due, run.number)))
    changed = replace(loan, runs=runs)
    if runs[-1] is new:
        balance = event.statement_balance
        changed = replace(
            changed,
            emi=new.amount,
            principal=to_minor(event.credit_limit) if event.credit_limit else loan.principal,
            balance=to_minor(balance) if balance is not None else -1,
        )
    return absorb(changed)


def absorb(loan: Loan) -> Loan:
    """Let each statement take in the credit there was before it: it pays no later bill any more."""
    if loan.tenure or not loan.runs:
        return loan
    due, runs = loan.billed_amount, []
    for run in loan.runs:
        # What was summed up cannot be parted by days any more, and does not change any more either.
        if run.billed_on >= loan.folded_to:
            run = replace(run, credit=max(paid_by(loan, run.billed_on - 1) - due, 0))
        due += run.credit + run.amount
        runs.append(run)
    return replace(loan, runs=tuple(runs))


def fold_bills(loan: Loan) -> Loan:
    """Sum up the bills that are decided and paid by what was summed up: nothing that still may arrive changes them."""
    count, amount, kept = loan.billed_count, loan.billed_amount, list(loan.runs)
    while kept and count < loan.folded_instalments and amount + kept[0].credit + kept[0].amount <= loan.folded_paid:
        first = kept.pop(0)
        count, amount = count + 1, amount + first.credit + first.amount
    return replace(loan, runs=tuple(kept), billed_count=count, billed_amount=amount)
