"""The wheel that `uvx`, `pipx run` and `pip install` take, in an empty folder: it holds all that riskmon needs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, built from what a source distribution holds."""
    folder: Path = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "installed"
    for package in ("streams", "producers", "models", "monitoring"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / file, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return target


def test_the_demo_runs_from_an_empty_folder(installed: Path, model: Path, tmp_path: Path) -> None:
    work = tmp_path / "empty"
    work.mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(installed),
        "RISKMON_HOME": str(tmp_path / "home"),
        "RISKMON_MODEL_DIR": str(model),
        "RISKMON_METRICS_PORT": "0",
        "RISKMON_CONSOLE_PORT": "0",
    }
    where = "import streams.command.app as it; print(it.__file__)"
    seen = subprocess.run([sys.executable, "-c", where], cwd=work, env=environment, capture_output=True, text=True)
    assert Path(seen.stdout.strip()).is_relative_to(installed)
    demo = [sys.executable, "-m", "streams.command", "demo", "--borrowers", "100", "--days", "90", "--rate", "0"]
    run = subprocess.run(
        [*demo, "--summary", str(tmp_path / "summary.json")],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert json.loads((tmp_path / "summary.json").read_text())
    assert list(work.iterdir()) == []


def test_everything_that_the_code_reads_is_in_it(installed: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    packaged = [name for name in tracked if name.split("/")[0] in {"streams", "producers", "models", "monitoring"}]
    # These are for the servers that read them, not for riskmon.
    others = ("monitoring/grafana/", "monitoring/prometheus/", "monitoring/alertmanager/")
    assert [name for name in packaged if not name.startswith(others) and not (installed / name).exists()] == []
