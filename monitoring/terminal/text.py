"""How texts that a sender chose stand on a terminal: as they are, whatever they look like to Rich or the terminal."""

from __future__ import annotations

from rich.text import Text

from streams.contracts.printable import printable


def shown(text: str, style: str = "") -> Text:
    """A sender's text for Rich: brackets are no markup, `:100:` is no emoji, and control characters are escaped."""
    return Text(printable(text), style)
