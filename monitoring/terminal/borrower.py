"""One borrower as a page for the terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from streams.history.describe import spaced

Json = dict[str, Any]


def render(told: Json) -> RenderableType:
    """What `describe` told, for the terminal."""
    return Group(_head(told), _loans(told), _predictions(told), _timeline(told))


def _head(told: Json) -> Panel:
    numbers = [
        ("strategy", spaced(told["strategy"])),
        ("score", _probability(told["score"])),
        ("days past due", str(told["days_past_due"])),
        ("bucket", told["delinquency_bucket"]),
        ("missed", str(told["missed_count"])),
        ("arrears", told["arrears"]),
        ("segment", spaced(told["segment"] or "-")),
        ("as of", told["as_of"]),
    ]
    return Panel(
        "   ".join(f"{name} [bold]{escape(value)}[/]" for name, value in numbers),
        title=f"borrower {escape(told['borrower_id'])}",
    )


def _loans(told: Json) -> Table:
    table = _table("loans", "loan", "status", "DPD", "worst", "missed", "arrears", "paid/due", "outstanding")
    for loan in told["loans"]:
        table.add_row(
            escape(loan["loan_id"]),
            spaced(loan["status"]),
            str(loan["days_past_due"]),
            str(loan["worst_days_past_due"]),
            str(loan["missed_count"]),
            loan["arrears"],
            f"{loan['instalments_paid']}/{loan['instalments_due']}",
            loan["outstanding_principal"],
        )
    return table


def _predictions(told: Json) -> Table:
    title = "predictions: will the instalment reach 30 days past due?"
    table = _table(title, "loan", "due", "scored", "forest", "online", "blend", "outcome")
    for each in [*told["outcomes"], *told["pending_predictions"]]:
        outcome = each.get("reached_30_days_past_due")
        table.add_row(
            f"{escape(each['loan_id'])} #{each['instalment_number']}",
            each["due_on"],
            each["scored_on"],
            _probability(each["forest_score"]),
            _probability(each["online_score"]),
            _probability(each["blended_score"]),
            "open" if outcome is None else "[bold]yes[/]" if outcome else "no",
        )
    return table


def _timeline(told: Json) -> Table:
    begins = told["history_begins"]
    since = f"from {begins[:16]} on; what lies before is not judged" if begins else "from the first loan's opening on"
    table = _table(f"events and actions, {since}", "when", "what", "")
    rows = [*map(_event_row, told["events"]), *map(_action_row, told["actions"])]
    for _, when, what, more in sorted(rows):
        table.add_row(when, what, more)
    return table


def _event_row(event: Json) -> tuple[str, str, str, str]:
    """When it was published, by which rows are sorted, and the three cells."""
    fate, detail = event["fate"], event["detail"]
    became = "" if fate == "applied" else f" [yellow]({spaced(fate)}{': ' + escape(detail) if detail else ''})[/]"
    when = (event["occurred_at"] or event["published_at"])[:10]
    return event["published_at"], when, spaced(event["type"]), escape(event["text"]) + became


def _action_row(action: Json) -> tuple[str, str, str, str]:
    why = "; ".join(reason["text"] for reason in action["reasons"])
    return (
        action["decided_at"],
        action["occurred_at"][:10],
        f"[bold]→ {spaced(action['strategy'])}[/]",
        f"[bold]score {_probability(action['score'])}[/] {escape(why)}",
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        # What has a name is short and stays on its line; the last column of texts has none, and folds.
        table.add_column(name, no_wrap=bool(name))
    return table


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
