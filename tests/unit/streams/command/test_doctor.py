"""What the doctor finds wrong, and what it says to do."""

import json
import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.command import doctor
from streams.command.doctor import TopicFacts, Verdict
from streams.command.local_kafka.broker import free_port
from streams.config.settings import Settings
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS, MODELS, changelog_name, topic_specs

CHANGELOG = changelog_name("riskmon")


def facts(**changes: TopicFacts) -> dict[str, TopicFacts]:
    well = {
        s.name: TopicFacts(s.partitions, 0, {"cleanup.policy": "delete"} | s.config) for s in topic_specs("riskmon", 6)
    }
    return well | changes


def verdicts(topics: dict[str, TopicFacts]) -> dict[str, tuple[Verdict, str]]:
    found = doctor.topic_findings(topics, Settings())
    return {each.subject: (each.verdict, each.found) for each in found if each.verdict is not Verdict.OK}


def changed(topic: str, partitions: int = 0, short: int = 0, **config: str) -> dict[str, TopicFacts]:
    well = facts()[topic]
    renamed = {name.replace("_", "."): value for name, value in config.items()}
    return facts(**{topic: TopicFacts(partitions or well.partitions, short, {**well.config, **renamed})})


def test_topics_as_riskmon_makes_them_are_well_with_any_number_of_partitions() -> None:
    assert verdicts(facts()) == {}
    assert verdicts(changed(ACTIONS, partitions=2)) == {}
    assert verdicts(changed(DEADLETTER, max_message_bytes="99999999")) == {}


@pytest.mark.parametrize(
    ("topic", "topics", "found"),
    [
        (CHANGELOG, changed(CHANGELOG, partitions=4), "partitions: 4, not 6"),
        (CHANGELOG, changed(CHANGELOG, cleanup_policy="delete"), "cleanup.policy is delete, not compact"),
        (LABELS, changed(LABELS, partitions=3), "partitions: 3, not 1"),
        (MODELS, changed(MODELS, cleanup_policy="delete"), "cleanup.policy is delete, not compact"),
        (EVENTS, changed(EVENTS, cleanup_policy="compact"), "cleanup.policy is compact, not delete"),
        (EVENTS, changed(EVENTS, short=2), "2 of 6 partitions lack replicas"),
        (DEADLETTER, changed(DEADLETTER, max_message_bytes="1000"), "max.message.bytes is 1000, not 16777216"),
    ],
)
def test_each_fault_of_a_topic_is_found(topic: str, topics: dict[str, TopicFacts], found: str) -> None:
    assert verdicts(topics) == {topic: (Verdict.WRONG, found)}


def test_a_configuration_that_may_not_be_read_is_no_fault() -> None:
    unread = verdicts(facts(**{MODELS: TopicFacts(1, 0, {})}))
    assert unread == {MODELS: (Verdict.NOTE, "its configuration may not be read")}


def test_a_missing_topic_is_no_fault() -> None:
    topics = facts()
    del topics[MODELS]
    assert verdicts(topics) == {MODELS: (Verdict.NOTE, "does not exist yet")}


def test_missing_tools_are_wrong_only_where_they_are_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "kafka_libs", lambda: tmp_path / "none")
    for needed, verdict in ((True, Verdict.WRONG), (False, Verdict.NOTE)):
        java, jars = doctor.local_kafka(needed=needed)
        assert (java.verdict, jars.verdict) == (verdict, verdict)
        assert "apt install" in java.fix
        assert "apt install" in jars.fix


def test_a_model_that_is_missing_or_damaged_is_told_apart(tmp_path: Path, model: Path) -> None:
    assert doctor.model(Settings(model_dir=tmp_path)).verdict is Verdict.NOTE
    assert doctor.model(Settings(model_dir=model)).verdict is Verdict.OK
    card = json.loads((model / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(card | {"depth": 1}))
    damaged = doctor.model(Settings(model_dir=tmp_path))
    assert damaged.verdict is Verdict.WRONG
    assert "digest" in damaged.found


def test_a_port_that_others_use_and_a_missing_token_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert doctor.metrics_port(Settings(metrics_port=taken)).found == "in use by another program"
    assert doctor.metrics_port(Settings(metrics_port=free_port())).verdict is Verdict.OK
    console = SecretStr("the-token-of-the-console")
    beyond = doctor.metrics_port(Settings(metrics_host="0.0.0.0", metrics_port=0, web_token=console))
    assert (beyond.verdict, beyond.fix) == (Verdict.WRONG, "set RISKMON_METRICS_TOKEN")
