"""How a borrower is shown on the terminal."""

from rich.console import Console

from monitoring.terminal.borrower import render
from streams.history.describe import describe
from tests.support.history import RULES, history_of


def test_markup_in_an_id_or_a_text_stays_text() -> None:
    hostile = "[red]B1[/]"
    console = Console(width=200, record=True, force_terminal=False)
    console.print(render(describe(history_of(hostile), RULES.account)))
    shown = console.export_text()
    assert f"borrower {hostile}" in shown
    assert "9 [bold]days[/] past due" in shown
