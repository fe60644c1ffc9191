"""Settings that are each valid, but not together. Every text names the environment variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.config.settings import Settings


def connection_contradictions(settings: Settings) -> Iterator[str]:
    """What does not fit together on the way to Kafka. What the protocol would leave unused is a mistake, too."""
    protocol = settings.security_protocol
    uses_sasl, uses_tls = protocol.startswith("SASL"), protocol.endswith("SSL")
    for name in ("sasl_username", "sasl_password"):
        given = getattr(settings, name) is not None
        if uses_sasl and not given:
            yield f"RISKMON_SECURITY_PROTOCOL is {protocol}, which needs {_variable(name)}"
        if given and not uses_sasl:
            yield f"{_variable(name)} is set, but RISKMON_SECURITY_PROTOCOL is {protocol}, which presents no user"
    for name in ("tls_ca_file", "tls_cert_file", "tls_key_file"):
        if getattr(settings, name) is not None and not uses_tls:
            yield f"{_variable(name)} is set, but RISKMON_SECURITY_PROTOCOL is {protocol}, which does not encrypt"
    # The other way round is well: one PEM file may hold both.
    if settings.tls_key_file is not None and settings.tls_cert_file is None:
        yield "RISKMON_TLS_KEY_FILE is set, but RISKMON_TLS_CERT_FILE is not"


def access_contradictions(settings: Settings) -> Iterator[str]:
    """What does not fit together in who may read what."""
    if settings.web_token is not None and settings.web_token == settings.metrics_token:
        # Prometheus would hold the key to every borrower's page.
        yield "RISKMON_WEB_TOKEN and RISKMON_METRICS_TOKEN are the same: they must differ"


def rule_contradictions(settings: Settings) -> Iterator[str]:
    """What does not fit together in the rules for accounts and strategies."""
    if settings.settlement_from > settings.recovery_above:
        yield (
            f"RISKMON_SETTLEMENT_FROM ({settings.settlement_from}) is above RISKMON_RECOVERY_ABOVE "
            f"({settings.recovery_above}): no borrower would be offered a settlement"
        )
    if settings.relax_margin >= settings.settlement_from:
        yield (
            f"RISKMON_RELAX_MARGIN ({settings.relax_margin}) is not below RISKMON_SETTLEMENT_FROM "
            f"({settings.settlement_from}): no settlement would ever be relaxed to a reminder"
        )
    if settings.grace_days >= settings.default_dpd:
        yield (
            f"RISKMON_GRACE_DAYS ({settings.grace_days}) is not below RISKMON_DEFAULT_DPD ({settings.default_dpd}): "
            "a loan would be in default before its instalment counts as missed"
        )


def _variable(name: str) -> str:
    return f"RISKMON_{name.upper()}"
