"""How to reach Kafka: the one place that makes clients, so that each speaks TLS and SASL when the settings say so."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.helpers import create_ssl_context
from pydantic import SecretStr

from streams.kafka.unreadable import read_past_what_is_unreadable

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

# So many records at a time are objects; the others wait as the bytes that they came in.
_MOST_POLLED = 10_000

read_past_what_is_unreadable()


class ConnectionSettingsError(ValueError):
    """Kafka cannot be reached with these settings; the text names the setting."""


class BrokerAwayError(ValueError):
    """No Kafka answers; the text names the address."""


@dataclass(frozen=True)
class Connection:
    """Where Kafka is and who we are to it. `bootstrap` is host:port, comma separated."""

    bootstrap: str
    protocol: SecurityProtocol = "PLAINTEXT"
    mechanism: SaslMechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if self.is_sasl and (self.username is None or self.password is None):
            raise ConnectionSettingsError(f"{self.protocol} needs both sasl_username and sasl_password")

    def consumer(self, *topics: str, **options: Any) -> AIOKafkaConsumer:
        """A consumer, not yet started. It sees what is committed, unless told otherwise, and commits only by hand."""
        options = {"isolation_level": "read_committed", "max_poll_records": _MOST_POLLED} | options
        return AIOKafkaConsumer(*topics, **self._options, enable_auto_commit=False, **options)

    def producer(self, **options: Any) -> AIOKafkaProducer:
        """An idempotent producer, not yet started, whose writes are acknowledged by all in-sync replicas."""
        return AIOKafkaProducer(**self._options, enable_idempotence=True, acks="all", **options)

    def admin(self) -> AIOKafkaAdminClient:
        """An admin client, not yet started."""
        return AIOKafkaAdminClient(**self._options)

    async def start(self, client: AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient) -> None:
        """Start a client of this connection. Raises `BrokerAwayError`, with the client closed, if no Kafka answers."""
        try:
            await client.start()
        except KafkaConnectionError:
            await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())
            raise BrokerAwayError(
                f"no Kafka answers at {self.bootstrap}: start one (`riskmon broker`) or set --bootstrap"
            ) from None

    @property
    def is_sasl(self) -> bool:
        """Whether a user and a password are presented."""
        return self.protocol.startswith("SASL")

    @property
    def plain_password(self) -> str | None:
        """The password as clients want it."""
        return self.password.get_secret_value() if self.password else None

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context; None for a plain connection. Raises `ConnectionSettingsError` for unusable certificates."""
        if not self.protocol.endswith("SSL"):
            return None
        try:
            context: ssl.SSLContext = create_ssl_context(
                cafile=self.ca_file, certfile=self.cert_file, keyfile=self.key_file
            )
        except OSError as error:
            raise ConnectionSettingsError(
                f"the certificates in tls_ca_file, tls_cert_file and tls_key_file cannot be used: {error}"
            ) from error
        return context

    @property
    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.protocol,
            "ssl_context": self.ssl_context,
        }
        if self.is_sasl:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.plain_password,
            }
        return options
