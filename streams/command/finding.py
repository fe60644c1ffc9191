"""What the doctor says of one thing it looked at."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """`NOTE` is what only some uses need, such as Java, which a Kafka elsewhere makes unnecessary."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One thing looked at: what was found, and what to do unless it is well."""

    subject: str
    verdict: Verdict
    found: str
    fix: str = ""
