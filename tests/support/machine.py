"""What tests need of the machine beyond Python: a test that lacks it says so and is skipped, in CI it fails."""

import shutil
import sysconfig
from pathlib import Path

import pytest


def command(name: str, package: str) -> str:
    """The path of a command; the test is skipped where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; on Debian or Ubuntu: apt install {package}")
    return found


def c_compiler() -> None:
    """Skip where Python's own sources in C cannot be compiled."""
    command("gcc", "gcc libc6-dev")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        pytest.skip("Python's headers are not installed; on Debian or Ubuntu: apt install python3-dev")
