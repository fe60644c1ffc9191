"""What riskmon fetches once for all its runs on this machine: folders that are whole or not there at all."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from platformdirs import user_cache_path

_STDERR = 2


class BrokerError(ValueError):
    """The local Kafka cannot run; the text says what to install, free or look at."""


def cache_folder() -> Path:
    """Where fetched things are kept."""
    return user_cache_path("riskmon")


def tell(text: str) -> None:
    """One line for who waits, apart from what a command prints as its result."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def unfinished(folder: Path) -> Iterator[Path | None]:
    """A folder beside `folder` to fill, which becomes it when the block ends well; None if another process was first.

    What an interrupted run left in it is still there. One process at a time fills it; others wait.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        if folder.is_dir():
            yield None
            return
        part = folder.with_name(f"{folder.name}.part")
        part.mkdir(exist_ok=True)
        yield part
        part.rename(folder)


def install(requirements: str, target: Path, *, quiet: bool) -> None:
    """Let pip put the packages of a lock file of this folder into `target`; it knows mirror, proxy and certificates.

    Raises `BrokerError` with pip's own words if it fails.
    """
    shutil.rmtree(target, ignore_errors=True)
    with as_file(files(__package__) / requirements) as lock:
        options = ["--target", str(target), "--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(lock)]
        command = [*_pip(target.parent), "install", "--disable-pip-version-check", *(["--quiet"] if quiet else [])]
        # A user's setting for user installs cannot be combined with a target.
        run = subprocess.run([*command, *options], stdout=_STDERR, env=os.environ | {"PIP_USER": "0"}, check=False)
    if run.returncode:
        raise BrokerError(f"pip could not fetch what {requirements} names; its own words stand above")


def _pip(folder: Path) -> list[str]:
    """The pip beside riskmon, or one of its own where there is none, as uv makes environments."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    environment = folder / "pip"
    try:
        venv.create(environment, clear=True, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise BrokerError(
            "this Python has neither pip nor ensurepip; on Debian or Ubuntu: apt install python3-venv"
        ) from error
    return [str(environment / "bin" / "python"), "-m", "pip"]
