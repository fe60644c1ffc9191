"""CPU time of every `--help`, and memory of a worker that waits for Kafka, beside another commit's.

    python -m benchmarks.startup --against COMMIT --out docs/performance/startup.json

The other commit is checked out beside this one; the two take turns, and medians are told.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

from streams.command.local_kafka.broker import free_port

ROOT = Path(__file__).parent.parent
_START_SECONDS = 60
_SETTLE_SECONDS = 3
_COMMANDS = """
import typer
from {module} import app
def paths(command, path=()):
    yield " ".join(path)
    for name, below in getattr(command, "commands", dict()).items():
        yield from paths(below, (*path, name))
print("\\n".join(paths(typer.main.get_command(app))))
"""


def main() -> None:
    """Measure both commits, in turns, and write the medians."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--against", required=True, help="the commit to compare with")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        other, models = Path(folder) / "other", Path(folder) / "models"
        subprocess.run(["git", "worktree", "add", "--detach", str(other), given.against], cwd=ROOT, check=True)
        try:
            found = _measure({"now": ROOT, given.against: other}, models, given.runs)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(other)], cwd=ROOT, check=True)
    given.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def _measure(codes: dict[str, Path], models: Path, runs: int) -> dict[str, dict[str, object]]:
    modules = {name: _module(code) for name, code in codes.items()}
    commands = {
        name: _lines([sys.executable, "-c", _COMMANDS.format(module=modules[name])], code)
        for name, code in codes.items()
    }
    cpu: dict[str, dict[str, list[float]]] = {name: {each: [] for each in commands[name]} for name in codes}
    memory: dict[str, list[float]] = {name: [] for name in codes}
    for name, code in codes.items():
        train = ["train", "--out", str(models / name), "--borrowers", "400", "--days", "360"]
        subprocess.run(_riskmon(modules[name], *train), cwd=code, check=True, capture_output=True)
    for _ in range(runs):
        for name, code in codes.items():
            for command, seconds in cpu[name].items():
                seconds.append(_help_seconds(_riskmon(modules[name], *command.split(), "--help"), code))
            memory[name].append(_idle_worker_mb(modules[name], models / name, code))
    return {
        name: {
            "help_cpu_seconds": {each or "riskmon": round(statistics.median(of), 2) for each, of in cpu[name].items()},
            "idle_worker_mb": round(statistics.median(memory[name])),
        }
        for name in codes
    }


def _module(code: Path) -> str:
    """Where the commit keeps its command line."""
    scripts = tomllib.loads((code / "pyproject.toml").read_text())["project"]["scripts"]
    return str(scripts["riskmon"]).partition(":")[0]


def _riskmon(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"from {module} import main; main()", *arguments]


def _lines(command: list[str], code: Path) -> list[str]:
    return subprocess.run(command, cwd=code, capture_output=True, text=True, check=True).stdout.rstrip("\n").split("\n")


def _help_seconds(command: list[str], code: Path) -> float:
    child = subprocess.Popen(command, cwd=code, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command} in {code} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def _idle_worker_mb(module: str, model: Path, code: Path) -> float:
    """Resident memory of a worker that has its model and waits for a Kafka that is not there."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {
            "RISKMON_BOOTSTRAP": f"127.0.0.1:{free_port()}",
            "RISKMON_MODEL_DIR": str(model),
            "RISKMON_HOME": home,
        }
        worker = _riskmon(module, "worker", "--metrics-port", str(port))
        quiet = subprocess.DEVNULL
        child = subprocess.Popen(worker, cwd=code, env=environment, stdout=quiet, stderr=quiet)
        try:
            _await_model(port, child)
            time.sleep(_SETTLE_SECONDS)
            status = Path(f"/proc/{child.pid}/status").read_text()
        finally:
            child.kill()
            child.wait()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def _await_model(port: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while (told := _readiness(port)) is None or "model missing" in told:
        if child.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the worker did not start")
        time.sleep(0.2)


def _readiness(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return None


if __name__ == "__main__":
    main()
