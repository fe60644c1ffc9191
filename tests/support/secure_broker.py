"""A Kafka that speaks SASL/SCRAM over TLS only, and lets nobody do what no ACL allows."""

import shlex
import subprocess
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from streams.command.local_kafka.broker import LocalBroker, free_port
from streams.command.local_kafka.jars import fetch_kafka
from streams.command.local_kafka.java import find_java
from streams.kafka.connection import Connection

ROLES = ("riskmon-producer", "riskmon-worker", "riskmon-learner", "riskmon-console", "collections")
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"


def password_of(user: str) -> str:
    return f"correct-horse-{user}"


class SecureBroker(LocalBroker):
    """`admin` may do everything; everybody else what the ACLs say."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "kafka", port=0)
        self._folder = folder
        self._server_pem, self.ca_file = folder / "server.pem", folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        issued = authority.issue_cert("127.0.0.1")
        # Kafka wants its key as PKCS#8.
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._server_pem.write_bytes(pkcs8 + b"".join(part.bytes() for part in issued.cert_chain_pems))

    def as_user(self, user: str, password: str | None = None) -> Connection:
        return Connection(
            self.bootstrap,
            "SASL_SSL",
            username=user,
            password=SecretStr(password or password_of(user)),
            ca_file=self.ca_file,
        )

    @property
    def connection(self) -> Connection:
        return self.as_user("admin")

    def properties(self, data_dir: Path, port: int) -> dict[str, object]:
        plain = super().properties(data_dir, port)
        internal = free_port()
        return plain | {
            "listeners": f"SASL_SSL://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal},"
            + str(plain["listeners"]).split(",")[1],
            "advertised.listeners": f"SASL_SSL://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal}",
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._server_pem,
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{_SCRAM};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The one node talks to itself without a name; clients cannot, for their listener wants one.
            "super.users": "User:admin;User:ANONYMOUS",
        }

    def format_options(self) -> list[str]:
        return [
            part
            for user in ("admin", *ROLES)
            for part in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={password_of(user)}]")
        ]

    def run_acl_command(self, line: str) -> None:
        """A `kafka-acls.sh` line of the documentation, run as the administrator."""
        properties = self._folder / "admin.properties"
        properties.write_text(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nssl.truststore.type=PEM\n"
            f"ssl.truststore.location={self.ca_file}\n"
            f'sasl.jaas.config={_SCRAM} username="admin" password="{password_of("admin")}";\n'
        )
        where = ["--bootstrap-server", self.bootstrap, "--command-config", str(properties)]
        _, _, *arguments = shlex.split(line)
        java = [find_java(), "-cp", f"{fetch_kafka()}/*", "org.apache.kafka.tools.AclCommand"]
        run = subprocess.run([*java, *where, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
