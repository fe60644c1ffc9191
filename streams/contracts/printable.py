"""Text that others wrote, made safe to print: a terminal or a log obeys some characters instead of showing them."""

from __future__ import annotations

import unicodedata

# Controls (also the C1 ones, by which some terminals take commands), format characters (bidirectional overrides,
# zero-width ones), surrogates, private and unassigned ones, line and paragraph separators.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    """The text with every character that would not be shown as itself written as its escape, such as `\\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _OBEYED else char for char in text
    )


def printable_lines(text: str) -> str:
    """The same for a text of several lines, whose ends stay."""
    return "\n".join(printable(line) for line in text.split("\n"))
