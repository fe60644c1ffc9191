"""Tables to the outside: CSV that a spreadsheet opens without taking a text for a formula."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd

# Where a spreadsheet may begin a cell, whatever separator it splits lines by; then what would make it a formula.
_CELL_START = re.compile(r"""(^|[;,\t\r\n])([ "]*)(?=[=+\-@'＝＋－＠])""")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV in UTF-8, its texts neutralised and quoted."""
    texts = frame.select_dtypes(include=["object", "string"]).columns
    safe = frame.assign(**{str(name): frame[name].map(_neutral) for name in texts})
    safe.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC, encoding="utf-8")


def neutralised(text: str) -> str:
    """The text with an apostrophe before what a spreadsheet would take for a formula (OWASP, CSV injection).

    An apostrophe in such a place gets another one. So a program has the text back when it drops one apostrophe that
    stands at the start of a text, or after a separator there.
    """
    return _CELL_START.sub(r"\1\2'", text)


def _neutral(value: object) -> object:
    return neutralised(value) if isinstance(value, str) else value
