"""What the doctor finds wrong, and what it says to do."""

import json
import socket
from pathlib import Path

import pytest

from streams import doctor
from streams.broker import free_port
from streams.doctor import TopicFacts, Verdict
from streams.settings import Settings
from streams.topics import ACTIONS, EVENTS, LABELS, MODELS, changelog_name, topic_specs

CHANGELOG = changelog_name("riskmon")


def facts(**changes: TopicFacts) -> dict[str, TopicFacts]:
    well = {
        s.name: TopicFacts(s.partitions, 0, s.config.get("cleanup.policy", "delete")) for s in topic_specs("riskmon", 6)
    }
    return well | changes


def verdicts(topics: dict[str, TopicFacts]) -> dict[str, tuple[Verdict, str]]:
    found = doctor.topic_findings(topics, Settings())
    return {each.subject: (each.verdict, each.found) for each in found if each.verdict is not Verdict.OK}


def test_topics_as_riskmon_makes_them_are_well_with_any_number_of_partitions() -> None:
    assert verdicts(facts()) == {}
    assert verdicts(facts(**{ACTIONS: TopicFacts(2, 0, "delete")})) == {}


@pytest.mark.parametrize(
    ("topic", "changed", "found"),
    [
        (CHANGELOG, TopicFacts(4, 0, "compact"), "partitions: 4, not 6"),
        (CHANGELOG, TopicFacts(6, 0, "delete"), "cleanup.policy is delete, not compact"),
        (LABELS, TopicFacts(3, 0, "delete"), "partitions: 3, not 1"),
        (MODELS, TopicFacts(1, 0, "delete"), "cleanup.policy is delete, not compact"),
        (EVENTS, TopicFacts(6, 0, "compact"), "cleanup.policy is compact, not delete"),
        (EVENTS, TopicFacts(6, 2, "delete"), "2 of 6 partitions lack replicas"),
    ],
)
def test_each_fault_of_a_topic_is_found(topic: str, changed: TopicFacts, found: str) -> None:
    assert verdicts(facts(**{topic: changed})) == {topic: (Verdict.WRONG, found)}


def test_a_policy_that_may_not_be_read_is_no_fault() -> None:
    assert verdicts(facts(**{MODELS: TopicFacts(1, 0, None)})) == {
        MODELS: (Verdict.NOTE, "its cleanup.policy may not be read")
    }


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
    assert doctor.forest(Settings(model_dir=tmp_path)).verdict is Verdict.NOTE
    assert doctor.forest(Settings(model_dir=model)).verdict is Verdict.OK
    card = json.loads((model / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(card | {"depth": 1}))
    damaged = doctor.forest(Settings(model_dir=tmp_path))
    assert damaged.verdict is Verdict.WRONG
    assert "digest" in damaged.found


def test_a_port_that_others_use_and_a_missing_token_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert doctor.metrics_port(Settings(metrics_port=taken)).found == "in use by another program"
    assert doctor.metrics_port(Settings(metrics_port=free_port())).verdict is Verdict.OK
    beyond = doctor.metrics_port(Settings(metrics_host="0.0.0.0", metrics_port=0))
    assert (beyond.verdict, beyond.fix) == (Verdict.WRONG, "set RISKMON_WEB_TOKEN")
