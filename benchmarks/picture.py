"""A picture of the evidence: what share reached 30 days past due, and what was expected, around the shock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT, LEFT, TOP = 860, 250, 60, 40
_COLOURS = {"outcome": "#222", "score forest": "#c0392b", "score blend": "#1f77b4"}
_NAMES = {"outcome": "reached 30 days past due", "score forest": "forest expected", "score blend": "blend expected"}


def write(evidence: dict[str, Any], path: Path) -> None:
    """A panel a scenario, as SVG; lines are means over the seeds."""
    panels = [_panel(at, name, evidence["runs"]) for at, name in enumerate(evidence["scenarios"])]
    height = len(panels) * (HEIGHT + TOP) + TOP
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="white"/>{"".join(panels)}'
        f'<text x="{WIDTH - 20}" y="{height - 12}" text-anchor="end">labels scored since day 360 (dashed)</text>'
        "</svg>\n"
    )


def _panel(at: int, scenario: str, runs: list[dict[str, Any]]) -> str:
    courses = [run["course"] for run in runs if run["scenario"] == scenario]
    length = min(len(course["outcome"]) for course in courses)
    lines = {name: np.mean([course[name][:length] for course in courses], axis=0) for name in _COLOURS}
    top, step = at * (HEIGHT + TOP) + TOP, (WIDTH - LEFT - 20) / (length - 1)

    def y(value: float) -> float:
        return top + HEIGHT - 30 - value / 0.4 * (HEIGHT - 50)

    drawn = [f'<text x="{LEFT}" y="{top + 2}" font-weight="bold">{scenario}</text>']
    for share in (0, 0.1, 0.2, 0.3, 0.4):
        drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y(share):.1f}" y2="{y(share):.1f}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for number in range(0, length, 4):
        x = LEFT + number * step
        drawn.append(f'<text x="{x:.1f}" y="{top + HEIGHT - 10}" text-anchor="middle">{(number - 4) * 250:,}</text>')
    shock = LEFT + 3.5 * step
    drawn.append(f'<path d="M{shock:.1f} {y(0.4):.1f}V{y(0):.1f}" stroke="#888" stroke-dasharray="4"/>')
    for number, (name, values) in enumerate(lines.items()):
        points = " ".join(f"{LEFT + i * step:.1f},{y(value):.1f}" for i, value in enumerate(values))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[name]}" stroke-width="2"/>')
        drawn.append(
            f'<text x="{LEFT + 110 + number * 200}" y="{top + 2}" fill="{_COLOURS[name]}">{_NAMES[name]}</text>'
        )
    return "".join(drawn)
