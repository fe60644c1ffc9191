"""Settings: checked each and together, named by their environment variables, and silent about secrets."""

from pathlib import Path

import pytest

from streams.command.flags import settings_with
from streams.config.settings import Settings, SettingsError, load_settings

SASL = {"security_protocol": "SASL_SSL", "sasl_username": "risk", "sasl_password": "secret-of-kafka"}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"SETTLEMENT_FROM": "0.9", "RECOVERY_ABOVE": "0.5"}, ["SETTLEMENT_FROM (0.9)", "RECOVERY_ABOVE (0.5)"]),
        ({"SETTLEMENT_FROM": "0.8"}, ["SETTLEMENT_FROM (0.8)", "RECOVERY_ABOVE (0.75)"]),
        ({"RELAX_MARGIN": "0.4", "SETTLEMENT_FROM": "0.3"}, ["RELAX_MARGIN (0.4)", "SETTLEMENT_FROM (0.3)"]),
        ({"GRACE_DAYS": "30", "DEFAULT_DPD": "30"}, ["GRACE_DAYS (30)", "DEFAULT_DPD (30)"]),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_PASSWORD": "x"}, ["SECURITY_PROTOCOL", "SASL_USERNAME"]),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_USERNAME": "x"}, ["SECURITY_PROTOCOL", "SASL_PASSWORD"]),
        ({"SASL_USERNAME": "risk", "SASL_PASSWORD": "x"}, ["SASL_USERNAME", "SASL_PASSWORD", "SECURITY_PROTOCOL"]),
        ({"SECURITY_PROTOCOL": "SSL", "SASL_USERNAME": "risk"}, ["SASL_USERNAME", "SECURITY_PROTOCOL is SSL"]),
        ({"TLS_CA_FILE": "ca.pem"}, ["TLS_CA_FILE", "SECURITY_PROTOCOL is PLAINTEXT"]),
        ({"SECURITY_PROTOCOL": "SSL", "TLS_KEY_FILE": "key.pem"}, ["TLS_KEY_FILE", "TLS_CERT_FILE"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused_naming_both_variables(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: list[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"RISKMON_{name}", value)
    with pytest.raises(SettingsError) as refused:
        settings_with()
    assert [name for name in named if f"RISKMON_{name}" not in str(refused.value)] == []


def test_what_only_looks_like_a_contradiction_is_taken() -> None:
    assert load_settings(settlement_from=0.6, recovery_above=0.6).settlement_from == 0.6
    assert load_settings(**SASL, tls_cert_file=Path("both.pem")).kafka.is_sasl
    assert load_settings(grace_days=30).default_dpd == 90
    assert load_settings(relax_margin=0).relax_margin == 0


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GRACE_DAYS": "31"}, "RISKMON_GRACE_DAYS: Input should be less than or equal to 30"),
        ({"GRACE_DAYS": "some"}, "RISKMON_GRACE_DAYS: .*integer"),
        ({"LEDGER_DAYS": "60"}, "RISKMON_LEDGER_DAYS: .*90"),
        ({"RELAX_MARGIN": "nan"}, "RISKMON_RELAX_MARGIN: "),
        ({"SETTLEMENT_FROM": "nan"}, "RISKMON_SETTLEMENT_FROM: "),
        ({"COST_LOSS": "inf"}, "RISKMON_COST_LOSS: "),
        ({"BATCH_SECONDS": "inf"}, "RISKMON_BATCH_SECONDS: "),
        ({"MODEL_SHA256": "abc"}, "RISKMON_MODEL_SHA256: "),
        ({"APPLICATION": "risk monitor"}, "RISKMON_APPLICATION: "),
    ],
)
def test_a_value_out_of_range_is_refused_naming_its_variable(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"RISKMON_{name}", value)
    with pytest.raises(SettingsError, match=message):
        load_settings()


def test_no_error_tells_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKMON_SASL_PASSWORD", "hush-1")
    monkeypatch.setenv("RISKMON_SETTLEMENT_FROM", "0.9")
    with pytest.raises(ValueError, match="RISKMON_SASL_PASSWORD") as refused:
        Settings()
    assert "hush" not in str(refused.value)
    monkeypatch.setenv("RISKMON_WEB_TOKEN", "hush-2")
    with pytest.raises(SettingsError) as both:
        load_settings()
    assert "hush" not in str(both.value)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKMON_SASL_USERNAME", "")
    monkeypatch.setenv("RISKMON_GRACE_DAYS", "")
    settings = load_settings()
    assert (settings.sasl_username, settings.grace_days) == (None, 3)


def test_a_setting_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "riskmon.toml"
    file.write_text("grace_day = 5\n")
    monkeypatch.setenv("RISKMON_CONFIG", str(file))
    with pytest.raises(SettingsError, match="RISKMON_GRACE_DAY: "):
        load_settings()
    file.write_text("grace_days = 5\nrecovery_above = 0.4\n")
    with pytest.raises(SettingsError, match="RISKMON_RECOVERY_ABOVE"):
        load_settings()
    assert load_settings(settlement_from=0.3).grace_days == 5
