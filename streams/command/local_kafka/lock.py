"""`make lock` writes jars.lock: what Maven resolves for pom.xml, each file with its SHA-256."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from streams.command.local_kafka.jars import KAFKA_VERSION, maven_command

_FOLDER = Path(__file__).parent
_HEADER = "# Apache Kafka {} and what it needs, written by `make lock` from pom.xml: group:artifact:version SHA-256\n"


def write_lock() -> None:
    """Let Maven fetch everything into an empty repository layout, and list it."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copyfile(_FOLDER / "pom.xml", work / "pom.xml")
        options = [f"-DoutputDirectory={work / 'jars'}", "-Dmdep.useRepositoryLayout=true"]
        subprocess.run(maven_command("dependency:copy-dependencies", "-q", *options), cwd=work, check=True)
        lines = [_line(jar, work / "jars") for jar in (work / "jars").rglob("*.jar")]
    (_FOLDER / "jars.lock").write_text(_HEADER.format(KAFKA_VERSION) + "".join(sorted(lines)))


def _line(jar: Path, repository: Path) -> str:
    *group, artifact, version, _ = jar.relative_to(repository).parts
    return f"{'.'.join(group)}:{artifact}:{version} {hashlib.sha256(jar.read_bytes()).hexdigest()}\n"


if __name__ == "__main__":
    write_lock()
