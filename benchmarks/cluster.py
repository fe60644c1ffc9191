"""What partitions and a second worker change: `python -m benchmarks.cluster` (see docs/scaling.md).

Whole workers on a real Kafka, each configuration in turn. Where broker and workers share the cores, throughput of two
workers says more about the machine than about riskmon; CPU time an event is what carries over to another one.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.compare import Drained, drain, in_turns, summary, tell
from benchmarks.harness import RISKMON, System
from benchmarks.material import Material, prepare

_CONFIGURATIONS = [(1, 1, 1), (1, 4, 1), (1, 16, 1), (2, 4, 0), (2, 4, 1)]


def main() -> None:
    """Measure and write a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--copies", type=int, default=40)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        material = prepare(Path(folder))
        drains = {each: partial(_drain, *each, options.copies, material) for each in _CONFIGURATIONS}
        runs = in_turns(drains, options.runs)
    told = [
        {"workers": workers, "partitions": partitions, "standby_copies": standbys, **summary(found)}
        for (workers, partitions, standbys), found in runs.items()
    ]
    tell({"configurations": told}, options.out)


def _drain(workers: int, partitions: int, standbys: int, copies: int, material: Material) -> Drained:
    system: System = replace(RISKMON, workers=workers, standbys=standbys, copies=copies)
    return drain(system, material, partitions=partitions)


if __name__ == "__main__":
    main()
