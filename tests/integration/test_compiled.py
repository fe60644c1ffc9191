"""The core compiled to C, as it is in the image, holds what the tests of the core ask of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.machine import c_compiler

ROOT = Path(__file__).parents[2]
CORE_TESTS = [
    "models/serving/test_reasons",
    "streams/account",
    "streams/test_decide",
    "streams/test_evolve",
    "streams/test_extreme_lives",
    "streams/test_features",
    "streams/test_hostile",
    "streams/test_internal_errors",
    "streams/test_strategy",
]


@pytest.mark.timeout(900)
def test_the_compiled_core_passes_the_tests_of_the_core(tmp_path: Path) -> None:
    c_compiler()
    source, compiled = tmp_path / "source", tmp_path / "compiled"
    for folder in ("streams", "producers", "models", "monitoring"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / file, source)
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(compiled), str(source)]
    built = subprocess.run(
        [sys.executable, "-m", *install], env=os.environ | {"COMPILE_RISKMON": "1"}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr[-3000:]
    shutil.copytree(ROOT / "tests", compiled / "tests", ignore=shutil.ignore_patterns("__pycache__", "integration"))
    shutil.copy(ROOT / "pyproject.toml", compiled)
    seen = (
        "import streams.decide, streams.evolve, streams.decide_block as b; print(b.__file__, streams.evolve.__file__)"
    )
    where = subprocess.run([sys.executable, "-c", seen], cwd=compiled, check=True, stdout=subprocess.PIPE, text=True)
    assert [Path(each).suffix for each in where.stdout.split()] == [".so", ".so"]
    tests = [
        f"tests/unit/{name}" if (ROOT / "tests/unit" / name).is_dir() else f"tests/unit/{name}.py"
        for name in CORE_TESTS
    ]
    passed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests], cwd=compiled, capture_output=True, text=True
    )
    assert passed.returncode == 0, passed.stdout[-5000:]
