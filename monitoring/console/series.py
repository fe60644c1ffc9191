"""Numbers over time in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

Number = float | None


class Series:
    """Rows of numbers, first column x. When full, every second row goes, so the whole time stays covered, coarser."""

    def __init__(self, columns: Sequence[str], most: int = 360) -> None:
        self._columns = tuple(columns)
        self._most = most
        self._rows: list[tuple[Number, ...]] = []
        self._newest: tuple[Number, ...] | None = None
        self._stride = 1
        self._added = 0

    def add(self, *row: Number) -> None:
        """Append a row, one number a column; None where nothing was measured."""
        self._newest = row
        if self._added % self._stride == 0:
            self._rows.append(row)
        self._added += 1
        if len(self._rows) > self._most:
            del self._rows[1::2]
            self._stride *= 2

    def columns(self) -> dict[str, list[Number]]:
        """Every column's numbers, oldest first, the newest row always among them."""
        rows = list(self._rows)
        if self._newest is not None and rows[-1] is not self._newest:
            rows.append(self._newest)
        return {name: [row[at] for row in rows] for at, name in enumerate(self._columns)}
