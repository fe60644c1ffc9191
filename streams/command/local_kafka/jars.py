"""Kafka's jars: those that jars.lock names, each with its SHA-256, fetched once by Maven, or by jgo without it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from streams.command.local_kafka.cache import BrokerError, cache_folder, install, tell, unfinished
from streams.command.local_kafka.maven_settings import local_repository, remote

# The one place of Kafka's version; `make lock` writes jars.lock for it, and tests hold docker-compose.yml to it.
KAFKA_VERSION = "4.1.0"


class Jar(NamedTuple):
    """One line of jars.lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"{self.artifact}-{self.version}.jar"

    def within(self, repository: Path) -> Path:
        """Where a Maven repository keeps it."""
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, self.name)


def kafka_libs() -> Path:
    """Where Kafka's jars are kept, once they are fetched."""
    lock = hashlib.sha256(_lock().encode()).hexdigest()
    return cache_folder() / f"kafka-{KAFKA_VERSION}-{lock[:8]}"


def fetch_kafka() -> Path:
    """The folder with Kafka's jars, fetched on first use. Raises `BrokerError` if that fails."""
    libs = kafka_libs()
    with unfinished(libs) as part:
        if part:
            _fill(part)
    return libs


def locked_jars() -> list[Jar]:
    """What jars.lock names."""
    return [Jar(*line.replace(":", " ").split()) for line in _lock().splitlines() if not line.startswith("#")]


def fits(file: Path, jar: Jar) -> bool:
    """Whether the file is that jar, byte for byte."""
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == jar.sha256


def maven_command(goal: str, *options: str) -> list[str]:
    """Maven on the pom of this folder, with the machine's own settings. Raises `BrokerError` if it is not here."""
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError("Maven (mvn) was not found; on Debian or Ubuntu: apt install maven")
    return [maven, "-B", "-f", "pom.xml", goal, f"-Dkafka.version={KAFKA_VERSION}", *options]


def _lock() -> str:
    return (files(__package__) / "jars.lock").read_text()


def _fill(part: Path) -> None:
    """Bring all jars into the folder; those of an earlier, interrupted try are kept, foreign files are not."""
    jars = {jar.name: jar for jar in locked_jars()}
    for entry in part.iterdir():
        if entry.name not in jars or not fits(entry, jars[entry.name]):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    repository = local_repository()
    for jar in jars.values():
        if not (part / jar.name).exists() and fits(jar.within(repository), jar):
            _take(jar.within(repository), part / jar.name)
    missing = [jar for jar in jars.values() if not (part / jar.name).exists()]
    if not missing:
        return
    tell(f"fetching Apache Kafka {KAFKA_VERSION}, {len(missing)} files of about 40 MB, once, to {kafka_libs()}")
    work = part / "work"
    work.mkdir()
    # Each jar moves into the folder when it is whole, so that a download cut short need not fetch it again.
    _by_maven(missing, work) if shutil.which("mvn") and shutil.which("java") else _by_jgo(missing, work)
    for jar in missing:
        if not fits(part / jar.name, jar):
            raise BrokerError(f"{jar.name} was fetched, but it is not what jars.lock names: its SHA-256 is another")
    shutil.rmtree(work)


def _take(file: Path, target: Path) -> None:
    """Copy under another name first, so that a copy cut short is not taken for the jar."""
    half = target.with_suffix(".half")
    shutil.copyfile(file, half)
    half.rename(target)


def _by_maven(missing: list[Jar], work: Path) -> None:
    with as_file(files(__package__) / "pom.xml") as pom:
        shutil.copyfile(pom, work / "pom.xml")
    command = maven_command("dependency:copy-dependencies", f"-DoutputDirectory={work / 'jars'}")
    run = subprocess.run(command, cwd=work, stdout=sys.stderr, check=False)
    if run.returncode:
        raise BrokerError(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}; its own words stand above")
    for jar in missing:
        (work / "jars" / jar.name).rename(work.parent / jar.name)


def _by_jgo(missing: list[Jar], work: Path) -> None:
    """jgo runs in a process of its own; it comes from the Python package index and is gone afterwards."""
    if not importlib.util.find_spec("jgo"):
        install("jgo.lock", work / "packages", quiet=True)
    source = remote()
    order = {
        "jars": [[jar.group, jar.artifact, jar.version] for jar in missing],
        "repositories": source.repositories,
        "repository": str(work / "repository"),
        "folder": str(work.parent),
    }
    path = os.pathsep.join([str(work / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        # The order goes in by standard input: it may hold the password of a mirror.
        [sys.executable, "-m", "streams.command.local_kafka.by_jgo"],
        input=json.dumps(order),
        env=source.environment(os.environ) | {"PYTHONPATH": path},
        text=True,
        check=False,
    )
    if run.returncode:
        raise BrokerError("jgo could not fetch Kafka's jars; its own words stand above")
