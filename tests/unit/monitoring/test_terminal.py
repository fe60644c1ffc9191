"""Sender's texts on a terminal: shown as they are, whatever they look like to Rich or to the terminal itself."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from monitoring.terminal.live import DemoView, render
from monitoring.terminal.text import shown
from streams.command.process import say
from streams.contracts.printable import printable, printable_lines
from tests.support.factories import action

# Markup, an emoji, a trailing backslash before markup, and what opens a link.
AS_THEY_ARE = [
    "T:100:7",
    "O'Neil\\",
    "BR[/01]7",
    "[/2025]",
    "[bold]x[/bold]",
    "[link=http://x]y[/link]",
    "[red]",
    ":100:",
    "é 漢",
]
# Clear the screen, set the title, ring, the C1 forms of it, bidirectional overrides, zero width, line ends.
OBEYED = [
    "\x1b[2J",
    "\x1b]0;t\x07",
    "\x9b2J",
    "\x9d0;t\x9c",
    "\u202e",
    "\u2066",
    "\u200b",
    "\r",
    "\n",
    "\u2028",
    "\x00",
    "\x7f",
    "\ue000",
]


def printed(renderable: object) -> str:
    out = StringIO()
    Console(file=out, width=200, force_terminal=True, color_system=None).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_a_text_stands_as_it_is(text: str) -> None:
    assert printable(text) == text
    table = Table(title=shown(text))
    table.add_column(shown(text))
    table.add_row(shown(text))
    assert printed(table).count(text) == 3


@pytest.mark.parametrize("obeyed", OBEYED)
def test_what_a_terminal_obeys_is_told_instead(obeyed: str) -> None:
    told = printable(f"a{obeyed}b")
    assert told.startswith("a\\")
    assert told.endswith("b")
    assert told.isprintable()
    plain = printed(shown(f"a{obeyed}b")).strip()
    assert plain.isprintable()


def test_lines_of_a_message_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable_lines("a\nb\x1b\r\nc") == "a\nb\\x1b\\r\nc"
    say("bad \x1b[2J\nid [/x] :100:")
    assert capsys.readouterr().err == "bad \\x1b[2J\nid [/x] :100:\n"


@pytest.mark.parametrize("name", [text for text in AS_THEY_ARE if text.isascii() and " " not in text])
def test_the_demo_shows_a_borrower_as_it_is(name: str) -> None:
    view = DemoView()
    view.note_action(action(borrower_id=name), 0)
    assert name in printed(render(view))
