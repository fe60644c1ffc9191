"""The comparison as a picture: `python -m benchmarks.performance_picture docs/performance`.

Reads compare.json in that folder and writes compare.png beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

matplotlib.use("agg")
_OURS, _OTHERS = "#1f77b4", "#9aa5b1"


def main() -> None:
    """Three panels, a bar a system; the axes are logarithmic, thin lines go from the smallest run to the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    systems = json.loads((folder / "compare.json").read_text())["systems"]
    timed = {name: each for name, each in systems.items() if "latency_at_half_load" in each}
    plt.rcParams.update({"font.size": 10})
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.2), layout="constrained")
    _panel(axes[0], systems, "events a second, one worker", lambda each: each["events_a_second"])
    _panel(axes[1], systems, "CPU microseconds an event", lambda each: each["cpu_us_an_event"])
    _panel(axes[2], timed, "ms to action at half load, p50 to p99", _latency)
    figure.savefig(folder / "compare.png", dpi=110)


def _latency(system: dict[str, Any]) -> dict[str, float]:
    found = system["latency_at_half_load"]
    return {"min": found["p50_ms"], "median": found["p50_ms"], "max": found["p99_ms"]}


def _panel(
    axes: Axes, systems: dict[str, Any], title: str, figures: Callable[[dict[str, Any]], dict[str, float]]
) -> None:
    names = list(systems)[::-1]
    found = [figures(systems[name]) for name in names]
    middles = [each["median"] for each in found]
    reach = [[each["median"] - each["min"] for each in found], [each["max"] - each["median"] for each in found]]
    colours = [_OURS if name.startswith("riskmon") else _OTHERS for name in names]
    axes.barh(names, middles, xerr=reach, color=colours, error_kw={"linewidth": 1})
    axes.set_xscale("log")
    axes.set_xlim(left=min(each["min"] for each in found) / 4)
    axes.set_title(title, fontsize=10)
    for at, middle in enumerate(middles):
        axes.annotate(f"{middle:,.0f}", (middle, at), (-4, 0), textcoords="offset points", ha="right", va="center")


if __name__ == "__main__":
    main()
