"""A genuine Apache Kafka on this machine: one KRaft node from the published jars, for the demo and the tests."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError

from streams.command.local_kafka.cache import BrokerError
from streams.command.local_kafka.jars import fetch_kafka
from streams.command.local_kafka.java import find_java
from streams.kafka.connection import Connection

_HOST = "127.0.0.1"
_START_SECONDS = 60
_STOP_SECONDS = 30
_PR_SET_PDEATHSIG = 1
_LOGGING = """\
Configuration:
  status: error
  Appenders:
    File: {name: file, fileName: "%s", PatternLayout: {pattern: "%%d %%p %%m (%%c)%%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: file}}
"""


def server_properties(data_dir: Path, port: int, controller_port: int) -> dict[str, object]:
    """The configuration of a single node that is broker and controller, for clients on this machine only."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{_HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{_HOST}:{port},CONTROLLER://{_HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{_HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data_dir / "topics",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
    }


class LocalBroker:
    """One Kafka with its data in `data_dir`, which survives restarts. Port 0 picks a free port once."""

    def __init__(self, data_dir: Path, port: int = 9092, heap_mb: int = 512) -> None:
        self._data_dir = data_dir
        self._port = port or free_port()
        self._heap_mb = heap_mb
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"{_HOST}:{self._port}"

    @property
    def connection(self) -> Connection:
        """How this machine's clients reach it."""
        return Connection(self.bootstrap)

    def properties(self, data_dir: Path, port: int) -> dict[str, object]:
        """The broker's configuration."""
        return server_properties(data_dir, port, free_port())

    def format_options(self) -> list[str]:
        """Options of Kafka's storage tool for a new data folder."""
        return []

    def start(self) -> None:
        """Start and wait until it answers. Raises `BrokerError` if the port is taken or Kafka does not come up."""
        if self._process is not None:
            return
        _refuse_used_port(self._port)
        java, libs = find_java(), fetch_kafka()
        self._data_dir.mkdir(parents=True, exist_ok=True)
        properties = self._data_dir / "server.properties"
        settings = self.properties(self._data_dir, self._port)
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        logging = self._data_dir / "log4j2.yaml"
        logging.write_text(_LOGGING % self._log)
        base = [java, f"-Xmx{self._heap_mb}m", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{libs}/*"]
        self._format([*base, "kafka.tools.StorageTool"], properties)
        with (self._data_dir / "console.log").open("ab") as out:
            self._process = subprocess.Popen(
                [*base, "kafka.Kafka", str(properties)],
                stdout=out,
                stderr=out,
                # Not in the terminal's process group: Ctrl-C reaches riskmon, which stops its clients first.
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._await_answer()

    def stop(self) -> None:
        """Shut down cleanly; killed if it does not end in time."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self._data_dir / "kafka.log"

    def _format(self, tool: list[str], properties: Path) -> None:
        if (self._data_dir / "topics" / "meta.properties").exists():
            return
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One id in 64 starts with a dash: only behind an equals sign it is not taken for another option.
        command = [*tool, "format", f"--cluster-id={cluster}", "-c", str(properties), *self.format_options()]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise BrokerError(f"Kafka could not format {self._data_dir}:\n{(run.stdout + run.stderr)[-1500:]}")

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not asyncio.run(_answers(self.connection)):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"Kafka did not come up on {self.bootstrap}; its log ends:\n{self._log_tail()}")
            time.sleep(0.2)

    def _log_tail(self) -> str:
        logs = [self._data_dir / "console.log", self._log]
        return "\n".join(log.read_text(errors="replace")[-1500:] for log in logs if log.exists())

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _answers(kafka: Connection) -> bool:
    host, port = kafka.bootstrap.split(":")
    with socket.socket() as probe:
        # A closed port is told apart cheaply; aiokafka would log an error for each attempt.
        if probe.connect_ex((host, int(port))):
            return False
    admin = kafka.admin()
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except KafkaError:
        return False
    finally:
        await admin.close()


def _refuse_used_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise BrokerError(
                f"port {port} is in use by another program: stop it, or choose another port with --port"
            ) from error


def free_port() -> int:
    """A TCP port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Linux ends Kafka when riskmon dies, also by SIGKILL, so that no broker is left behind on the port."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
