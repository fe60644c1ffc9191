"""What each step brought: `python -m benchmarks.steps COMMIT...` (see docs/performance.md).

The worker of each commit, in a worktree of its own, drains the same stream as `benchmarks.compare`; commits take turns.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.compare import drain, in_turns, summary, tell
from benchmarks.harness import RISKMON
from benchmarks.material import prepare


def main() -> None:
    """Measure and write a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commits", nargs="+")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--copies", type=int, default=30)
    parser.add_argument("--store", choices=["memory", "rocksdb"], default="memory")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as worktrees:
        material = prepare(Path(folder))
        drains = {}
        for commit in options.commits:
            code = Path(folder) / commit
            _git("worktree", "add", "--detach", str(code), commit)
            worktrees.callback(_git, "worktree", "remove", "--force", str(code))
            system = replace(RISKMON, copies=options.copies, store=options.store, code=code)
            drains[commit] = partial(drain, system, material)
        runs = in_turns(drains, options.runs)
    steps = [
        {"commit": commit, "subject": _git("log", "-1", "--format=%s", commit).strip(), **summary(found)}
        for commit, found in runs.items()
    ]
    tell({"store": options.store, "steps": steps}, options.out)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
