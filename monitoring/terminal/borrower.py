"""One borrower as a page for the terminal."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from monitoring.terminal.text import shown
from streams.history.words import spaced

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
    line = Text("   ").join(Text.assemble(f"{name} ", shown(value, "bold")) for name, value in numbers)
    return Panel(line, title=shown(f"borrower {told['borrower_id']}"))


def _loans(told: Json) -> Table:
    table = _table("loans", "loan", "status", "DPD", "worst", "missed", "arrears", "paid/due", "outstanding")
    for loan in told["loans"]:
        table.add_row(
            shown(loan["loan_id"]),
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
            shown(f"{each['loan_id']} #{each['instalment_number']}"),
            each["due_on"],
            each["scored_on"],
            _probability(each["forest_score"]),
            _probability(each["online_score"]),
            _probability(each["blended_score"]),
            "open" if outcome is None else Text("yes", "bold") if outcome else "no",
        )
    return table


def _timeline(told: Json) -> Table:
    begins = told["history_begins"]
    since = f"from {begins[:16]} on; what lies before is not judged" if begins else "from the first loan's opening on"
    table = _table(f"events and actions, {since}", "when", "what", "")
    rows = [*map(_event_row, told["events"]), *map(_action_row, told["actions"])]
    for row in sorted(rows, key=lambda row: (row.published_at, row.when, row.what.plain, row.more.plain)):
        table.add_row(row.when, row.what, row.more)
    return table


class _Row(NamedTuple):
    """A line of the timeline, and when it was published, by which lines are sorted."""

    published_at: str
    when: str
    what: Text
    more: Text


def _event_row(event: Json) -> _Row:
    more = shown(event["text"])
    if event["fate"] != "applied":
        detail = f": {event['detail']}" if event["detail"] else ""
        more.append(shown(f" ({spaced(event['fate'])}{detail})", "yellow"))
    when = (event["occurred_at"] or event["published_at"])[:10]
    return _Row(event["published_at"], when, shown(spaced(event["type"])), more)


def _action_row(action: Json) -> _Row:
    why = "; ".join(reason["text"] for reason in action["reasons"])
    return _Row(
        action["decided_at"],
        action["occurred_at"][:10],
        shown(f"→ {spaced(action['strategy'])}", "bold"),
        Text.assemble((f"score {_probability(action['score'])}", "bold"), " ", shown(why)),
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        # What has a name is short and stays on its line; the last column of texts has none, and folds.
        table.add_column(name, no_wrap=bool(name))
    return table


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
