"""What is in force: flags, then environment (`RISKMON_…`), then files.

`RISKMON_SECRETS_DIR` names a folder with one file a secret (`riskmon_sasl_password`), as container engines mount
them; `RISKMON_CONFIG` names a TOML file. Secrets have no flag: a command line is there for everybody to read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streams.account.rules import AccountRules
from streams.account.working_days import WorkingDays
from streams.config.contradictions import access_contradictions, connection_contradictions, rule_contradictions
from streams.contracts.money import MINOR_UNITS
from streams.contracts.topics import Retention
from streams.decide import Rules
from streams.kafka.connection import Connection, SaslMechanism, SecurityProtocol
from streams.kafka.placement import murmur2_placement
from streams.strategy import StrategyRules


class SettingsError(ValueError):
    """Settings that cannot be used; the text names each by its environment variable."""


def load_settings(**flags: Any) -> Settings:
    """The settings in force, with the flags on top. Raises `SettingsError`."""
    try:
        return Settings(**flags)
    except ValidationError as error:
        raise SettingsError("; ".join(_problem(found) for found in error.errors(include_input=False))) from None


class Settings(BaseSettings):
    """Every setting of riskmon with its default."""

    # What was given stays out of error texts: it may be a secret. An empty variable is one that is not set.
    model_config = SettingsConfigDict(
        env_prefix="RISKMON_", extra="forbid", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    bootstrap: str = Field("127.0.0.1:9092", description="Kafka's bootstrap servers, host:port, comma separated.")
    security_protocol: SecurityProtocol = Field("PLAINTEXT", description="TLS, SASL or both towards Kafka.")
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    tls_ca_file: Path | None = Field(None, description="PEM of who signed the brokers' certificates.")
    tls_cert_file: Path | None = Field(None, description="PEM of the client's own certificate, for mutual TLS.")
    tls_key_file: Path | None = Field(None, description="PEM of the client certificate's key.")
    application: str = Field(
        "riskmon", pattern="^[A-Za-z0-9._-]{1,200}$", description="Consumer group and prefix of the changelog topic."
    )
    partitions: int = Field(4, ge=1, le=1024, description="Partitions of riskmon.events, when riskmon creates it.")
    replication: int = Field(1, ge=1, le=9, description="Replicas of topics that riskmon creates.")
    events_days: int = Field(
        Retention.events,
        ge=7,
        le=36_500,
        description="Days that riskmon.events keeps a message, when riskmon creates it: more than workers ever rest.",
    )
    actions_days: int = Field(Retention.actions, ge=1, le=36_500, description="The same of riskmon.actions.")
    labels_days: int = Field(Retention.labels, ge=1, le=36_500, description="The same of riskmon.labels.")
    alerts_days: int = Field(Retention.alerts, ge=1, le=36_500, description="The same of riskmon.alerts.")
    deadletter_days: int = Field(Retention.deadletter, ge=1, le=36_500, description="The same of riskmon.deadletter.")
    home: Path = Field(user_data_path("riskmon"), description="Where the local broker's data and the model live.")
    store: Literal["memory", "rocksdb"] = Field(
        "memory", description="Where a worker keeps its rows: rocksdb for portfolios that do not fit in memory."
    )
    standby_copies: int = Field(
        1, ge=0, le=3, description="Other workers that keep a copy of a partition's rows, so that a takeover is short."
    )
    state_dir: Path | None = Field(None, description="The local store's folder, one a worker; default below home.")
    model_dir: Path | None = Field(None, description="The forest's folder; by default `forest` below home.")
    model_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of model.json: a worker serves only this model. `riskmon train` and `doctor` print it.",
    )
    metrics_host: str = Field("127.0.0.1", description="Address on which /metrics listens.")
    metrics_port: int = Field(9464, ge=0, le=65535, description="Port of /metrics; 0 picks a free one.")
    metrics_token: SecretStr | None = Field(
        None, min_length=16, description="Who reads /metrics presents it, except on a loopback address."
    )
    web_token: SecretStr | None = Field(
        None, min_length=16, description="Who reads the console presents it, except on a loopback address."
    )
    console_host: str = Field("127.0.0.1", description="Address on which the console listens.")
    console_port: int = Field(8080, ge=0, le=65535, description="Port of the console; 0 picks a free one.")
    console_live_pages: int = Field(50, ge=1, le=1000, description="Most pages that follow the stream at a time.")
    console_borrowers: int = Field(250_000, ge=1, description="Most borrowers the console counts, some 220 bytes each.")
    console_actions: int = Field(5_000, ge=100, le=100_000, description="Newest actions the console keeps.")
    history_records: int = Field(
        500_000, ge=1_000, description="Newest records of a partition searched for a borrower's history."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    batch_records: int = Field(1000, ge=1, le=10_000, description="Most records scored together.")
    batch_seconds: float = Field(
        0.02, ge=0, le=5, description="Batches begin this far apart at least; the first after a pause begins at once."
    )
    commit_seconds: float = Field(0.5, gt=0, le=60, description="Interval of offset commits.")

    online: bool = Field(
        True, description="False: the worker scores with the forest alone, so the same events give the same actions."
    )
    snapshot_move: float = Field(
        0.10,
        gt=0,
        le=1,
        description="A model snapshot that moves scores further than this at once, on the average, waits for a person.",
    )
    session_seconds: float = Field(
        10,
        ge=1,
        le=60,
        description="A silent worker's partitions move on after this. Kafka's own floor is 6 by default.",
    )

    stuck_seconds: float = Field(
        120, ge=5, description="/healthz says 503 when work stands still this long although Kafka answers."
    )

    grace_days: int = Field(3, ge=0, le=30)
    ledger_days: int = Field(
        120, ge=90, le=400, description="Older payments are only known as a sum; features look back 90 days."
    )
    days_ahead: Annotated[int, Field(ge=1, le=366)] | Literal["unlimited"] = Field(
        2, description="Days that an event or business day may be dated ahead of Kafka's own time stamp; or unlimited."
    )
    partitioner: Literal["murmur2", "any"] = Field(
        "murmur2", description="How producers choose a borrower's partition: as Kafka's own clients do, or in any way."
    )
    default_dpd: int = Field(90, ge=30, le=365)
    probation_days: int = Field(90, ge=0, le=365)
    materiality_amount: int = Field(100, ge=0, description="Arrears up to this amount do not make a default.")
    materiality_percent: int = Field(1, ge=0, le=100)
    tolerance_amount: Decimal = Field(
        Decimal(1), ge=0, le=1000, decimal_places=2, description="So much may stay open of what is due, currency units."
    )
    tolerance_percent: Decimal = Field(
        Decimal("0.5"), ge=0, le=50, decimal_places=2, description="Or so much of an instalment, if that is more."
    )
    time_zone: str = Field("UTC", description="The lender's zone (IANA), by which an event's business day is told.")
    reversal_days: int = Field(5, ge=0, le=60, description="So long a reversal waits for a payment not seen yet.")
    recovery_days: int = Field(1825, ge=0, le=7300, description="So long a loan written off takes recoveries.")
    due_on_working_days: Literal["as_scheduled", "previous", "next", "same_month"] = Field(
        "as_scheduled",
        description="Where a due date on a weekend or holiday moves; same_month: next, unless that is another month.",
    )
    weekend: frozenset[int] = Field(frozenset((5, 6)), description="Days of the week without banking; Monday is 0.")
    holidays: frozenset[date] = Field(frozenset(), description="Days without banking beside weekends.")
    settlement_from: float = Field(0.50, gt=0, lt=1, description="Score from which a settlement is offered.")
    recovery_above: float = Field(0.75, gt=0, lt=1, description="Score above which recovery is aggressive.")
    relax_margin: float = Field(0.05, ge=0, lt=0.5, description="Fall below a threshold needed to relax a strategy.")

    cost_contact: Decimal = Field(Decimal(2), ge=0, description="Cost of reminding a borrower, currency units.")
    cost_settlement: Decimal = Field(Decimal(150), ge=0, description="Cost of a settlement, discount included.")
    cost_recovery: Decimal = Field(Decimal(300), ge=0, description="Cost of aggressive recovery, goodwill included.")
    cost_loss: Decimal = Field(Decimal(1000), gt=0, description="Loss when a reminder is all that was done.")
    settlement_saves: float = Field(0.30, ge=0, le=1, description="Share of the loss that a settlement avoids.")
    recovery_saves: float = Field(0.50, ge=0, le=1, description="Share of the loss that aggressive recovery avoids.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, secret files, file, in that order."""
        secrets, file = os.environ.get("RISKMON_SECRETS_DIR"), os.environ.get("RISKMON_CONFIG")
        return (
            init_settings,
            env_settings,
            *([SecretsSettingsSource(settings_cls, Path(secrets))] if secrets else []),
            *([TomlConfigSettingsSource(settings_cls, Path(file))] if file else []),
        )

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        found = [*connection_contradictions(self), *access_contradictions(self), *rule_contradictions(self)]
        if found:
            raise ValueError("; ".join(found))
        return self

    @field_validator("weekend")
    @classmethod
    def _weekend_leaves_working_days(cls, weekend: frozenset[int]) -> frozenset[int]:
        if not weekend < frozenset(range(7)):
            raise ValueError("days of the week are 0, Monday, to 6, and not all of them")
        return weekend

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, ZoneInfoNotFoundError):
            raise ValueError("no such time zone; IANA's names read like Europe/Berlin") from None
        return name

    @property
    def forest_dir(self) -> Path:
        """Where the trained forest is."""
        return self.model_dir or self.home / "forest"

    @property
    def store_dir(self) -> Path:
        """Where the worker's local store is."""
        return self.state_dir or self.home / "faust"

    @property
    def kafka(self) -> Connection:
        """How to reach Kafka. Raises `ConnectionSettingsError` where the settings contradict each other."""
        return Connection(
            self.bootstrap,
            self.security_protocol,
            self.sasl_mechanism,
            self.sasl_username,
            self.sasl_password,
            self.tls_ca_file,
            self.tls_cert_file,
            self.tls_key_file,
        )

    @property
    def retention(self) -> Retention:
        """How long the topics keep a message that riskmon creates."""
        return Retention(self.events_days, self.actions_days, self.labels_days, self.alerts_days, self.deadletter_days)

    def placement(self, partitions: int) -> Callable[[bytes], int] | None:
        """On which of so many partitions a borrower's events belong; None where producers choose in their own way."""
        return murmur2_placement(partitions) if self.partitioner == "murmur2" else None

    def rules(self) -> Rules:
        """The domain's settings as the core wants them."""
        return Rules(
            AccountRules(
                grace_days=self.grace_days,
                ledger_days=self.ledger_days,
                default_dpd=self.default_dpd,
                probation_days=self.probation_days,
                materiality_minor=self.materiality_amount * MINOR_UNITS,
                materiality_percent=self.materiality_percent,
                tolerance_minor=int(self.tolerance_amount * MINOR_UNITS),
                tolerance_share_e4=int(self.tolerance_percent * 100),
                working_days=self._working_days(),
                zone=None if self.time_zone == "UTC" else ZoneInfo(self.time_zone),
                reversal_days=self.reversal_days,
                recovery_days=self.recovery_days,
            ),
            StrategyRules(self.settlement_from, self.recovery_above, self.relax_margin),
            None if self.days_ahead == "unlimited" else self.days_ahead,
        )

    def _working_days(self) -> WorkingDays | None:
        if self.due_on_working_days == "as_scheduled":
            return None
        return WorkingDays(self.due_on_working_days, self.weekend, frozenset(day.toordinal() for day in self.holidays))


def _problem(found: Any) -> str:
    """A fault that pydantic found, with the setting's environment variable unless the text names it."""
    text = str(found["msg"]).removeprefix("Value error, ")
    return ": ".join([*(f"RISKMON_{str(name).upper()}" for name in found["loc"][:1]), text])
