"""What each step brought: `python -m benchmarks.steps COMMIT...` (see docs/performance.md).

The worker of each commit, in a worktree of its own, drains the same stream as `benchmarks.compare`; commits take turns,
so that whatever else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.compare import Drained, drain, machine, summary
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
    runs: dict[str, list[Drained]] = {commit: [] for commit in options.commits}
    with tempfile.TemporaryDirectory() as folder:
        material = prepare(Path(folder))
        for commit in options.commits:
            _git("worktree", "add", "--detach", str(Path(folder) / commit), commit)
        for _ in range(options.runs):
            for commit in options.commits:
                code = Path(folder) / commit
                system = replace(RISKMON, copies=options.copies, store=options.store, code=code)
                runs[commit].append(drain(system, material))
                print(commit, runs[commit][-1], flush=True)
        for commit in options.commits:
            _git("worktree", "remove", "--force", str(Path(folder) / commit))
    steps = [
        {"commit": commit, "subject": _git("log", "-1", "--format=%s", commit).strip(), **summary(found)}
        for commit, found in runs.items()
    ]
    text = json.dumps({"machine": machine(), "store": options.store, "steps": steps}, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
