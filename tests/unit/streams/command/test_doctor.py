"""What the doctor finds wrong, and what it says to do."""

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.serving import store
from streams.command import doctor
from streams.command.finding import Finding, Verdict
from streams.command.local_kafka.broker import free_port
from streams.command.topic_check import GroupOffsets, TopicFacts, group_findings, topic_findings
from streams.config.settings import Settings
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS, MODELS, changelog_name, topic_specs
from tests.support.forests import small_model

CHANGELOG = changelog_name("riskmon")


def facts(replicas: int = 1) -> dict[str, TopicFacts]:
    specs = topic_specs("riskmon", 6, replicas)
    return {s.name: TopicFacts(s.partitions, 0, replicas, s.config) for s in specs}


def verdicts(topics: dict[str, TopicFacts], settings: Settings | None = None) -> dict[str, tuple[Verdict, str]]:
    found = topic_findings(topics, settings or Settings())
    return {each.subject: (each.verdict, each.found) for each in found if each.verdict is not Verdict.OK}


def changed(topic: str, partitions: int = 0, short: int = 0, replicas: int = 1, **config: str) -> dict[str, TopicFacts]:
    well = facts(replicas)
    renamed = {name.replace("_", "."): value for name, value in config.items()}
    partitions = partitions or well[topic].partitions
    return well | {topic: TopicFacts(partitions, short, replicas, {**well[topic].config, **renamed})}


def test_topics_as_riskmon_makes_them_are_well_with_any_number_of_partitions() -> None:
    assert verdicts(facts()) == {}
    assert verdicts(facts(replicas=3), Settings(replication=3)) == {}
    assert verdicts(changed(ACTIONS, partitions=2)) == {}
    assert verdicts(changed(DEADLETTER, max_message_bytes="99999999")) == {}


@pytest.mark.parametrize(
    ("topic", "topics", "found"),
    [
        (CHANGELOG, changed(CHANGELOG, partitions=4), "partitions: 4, not 6"),
        (CHANGELOG, changed(CHANGELOG, cleanup_policy="delete"), "cleanup.policy is delete, not compact"),
        (
            CHANGELOG,
            changed(CHANGELOG, cleanup_policy="compact,delete"),
            "cleanup.policy is compact,delete, not compact",
        ),
        (CHANGELOG, changed(CHANGELOG, min_compaction_lag_ms="0"), "min.compaction.lag.ms is 0, not 3600000"),
        (LABELS, changed(LABELS, partitions=3), "partitions: 3, not 1"),
        (MODELS, changed(MODELS, cleanup_policy="delete"), "cleanup.policy is delete, not compact"),
        (EVENTS, changed(EVENTS, cleanup_policy="compact"), "cleanup.policy is compact, not delete"),
        (EVENTS, changed(EVENTS, retention_ms="604800000"), "retention.ms is 604800000, not 31536000000"),
        (EVENTS, changed(EVENTS, short=2), "2 of 6 partitions lack replicas"),
        (EVENTS, changed(EVENTS, max_message_bytes="9999"), "max.message.bytes is 9999, not 1048588"),
        (DEADLETTER, changed(DEADLETTER, max_message_bytes="1000"), "max.message.bytes is 1000, not 16777216"),
        (ACTIONS, changed(ACTIONS, replicas=3, min_insync_replicas="1"), "min.insync.replicas is 1, not 2"),
        (
            ACTIONS,
            changed(ACTIONS, unclean_leader_election_enable="true"),
            "unclean.leader.election.enable is true, not false",
        ),
    ],
)
def test_where_a_worker_would_lose_or_stall_is_wrong(topic: str, topics: dict[str, TopicFacts], found: str) -> None:
    assert verdicts(topics) == {topic: (Verdict.WRONG, found)}


@pytest.mark.parametrize(
    ("topic", "topics", "found"),
    [
        (
            EVENTS,
            changed(EVENTS, message_timestamp_type="CreateTime"),
            "type is CreateTime, not LogAppendTime",
        ),
        (CHANGELOG, changed(CHANGELOG, max_compaction_lag_ms=str(2**63 - 1)), "is 9223372036854775807, not 604800000"),
        (
            CHANGELOG,
            changed(CHANGELOG, delete_retention_ms="86400000"),
            "retention.ms is 86400000, not 2592000000",
        ),
        (
            DEADLETTER,
            changed(DEADLETTER, retention_ms="-1"),
            "is -1, longer than the settings' 7776000000",
        ),
        (EVENTS, changed(EVENTS, replicas=2, min_insync_replicas="2"), "as high as the number of replicas, 2"),
    ],
)
def test_what_works_and_may_not_be_meant_is_a_note(topic: str, topics: dict[str, TopicFacts], found: str) -> None:
    ((subject, (verdict, said)),) = verdicts(topics).items()
    assert (subject, verdict) == (topic, Verdict.NOTE)
    assert found in said


def test_all_that_differs_is_mended_by_one_command() -> None:
    topics = changed(EVENTS, retention_ms="1000", message_timestamp_type="CreateTime")
    (finding,) = [each for each in topic_findings(topics, Settings()) if each.verdict is not Verdict.OK]
    assert finding.fix == (
        "kafka-configs.sh --alter --entity-type topics --entity-name riskmon.events "
        "--add-config message.timestamp.type=LogAppendTime,retention.ms=31536000000"
    )


def test_retention_and_replication_are_held_against_the_settings() -> None:
    assert verdicts(facts(), Settings(events_days=400))[EVENTS][0] is Verdict.WRONG
    assert verdicts(facts(), Settings(events_days=30))[EVENTS][0] is Verdict.NOTE
    assert verdicts(facts(), Settings(replication=3))[MODELS] == (
        Verdict.WRONG,
        "replicas: 1, but RISKMON_REPLICATION is 3",
    )


def test_what_the_group_has_not_read_must_be_there_and_what_it_has_read_too() -> None:
    assert group_findings("g", {0: GroupOffsets(5, 7, 10), 1: GroupOffsets(0, 4, 4)}) == [
        Finding("group g", Verdict.OK, "events not read yet: 3, and all still there")
    ]
    (expired,) = group_findings("g", {0: GroupOffsets(9, 7, 10)})
    assert (expired.verdict, expired.found) == (
        Verdict.WRONG,
        "events expired before they were read: partition 0: 2",
    )
    (cut,) = group_findings("g", {3: GroupOffsets(0, 8, 5)})
    assert (cut.verdict, "partition 3: read to 8 of 5" in cut.found) == (Verdict.WRONG, True)


def test_a_configuration_that_may_not_be_read_is_no_fault() -> None:
    unread = verdicts(facts() | {MODELS: TopicFacts(1, 0, 1, {})})
    assert unread == {MODELS: (Verdict.NOTE, "its configuration may not be read")}


def test_a_missing_topic_is_no_fault() -> None:
    topics = facts()
    del topics[MODELS]
    assert verdicts(topics) == {MODELS: (Verdict.NOTE, "does not exist yet")}


def test_java_and_kafka_that_are_not_here_are_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    java, jars = doctor.local_kafka()
    assert (java.verdict, jars.verdict) == (Verdict.NOTE, Verdict.NOTE)
    assert "fetch it on first use" in java.fix


def test_a_model_that_is_missing_damaged_or_not_the_pinned_one_is_told_apart(tmp_path: Path) -> None:
    assert doctor.model(Settings(model_dir=tmp_path)).verdict is Verdict.NOTE
    pinned = store.save(small_model(), {}, str, tmp_path)
    found = doctor.model(Settings(model_dir=tmp_path))
    assert (found.verdict, pinned in found.found) == (Verdict.OK, True)
    assert doctor.model(Settings(model_dir=tmp_path, model_sha256=pinned)).verdict is Verdict.OK
    other = doctor.model(Settings(model_dir=tmp_path, model_sha256="0" * 64))
    assert (other.verdict, pinned in other.found, "0" * 64 in other.found) == (Verdict.WRONG, True, True)
    (tmp_path / "model.json").write_text((tmp_path / "model.json").read_text().replace("1.3", "1.4"))
    damaged = doctor.model(Settings(model_dir=tmp_path))
    assert damaged.verdict is Verdict.WRONG
    assert "digest" in damaged.found
    (tmp_path / "model.json").unlink()
    assert doctor.model(Settings(model_dir=tmp_path, model_sha256=pinned)).verdict is Verdict.WRONG


def test_a_port_that_others_use_and_a_missing_token_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert doctor.metrics_port(Settings(metrics_port=taken)).found == "in use by another program"
    assert doctor.metrics_port(Settings(metrics_port=free_port())).verdict is Verdict.OK
    console = SecretStr("the-token-of-the-console")
    beyond = doctor.metrics_port(Settings(metrics_host="0.0.0.0", metrics_port=0, web_token=console))
    assert (beyond.verdict, beyond.fix) == (Verdict.WRONG, "set RISKMON_METRICS_TOKEN")
