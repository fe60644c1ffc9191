"""Kafka's version stands in one place, and what must repeat it agrees."""

import re
from pathlib import Path

import yaml

from streams.command.local_kafka.jars import KAFKA_VERSION

ROOT = Path(__file__).parents[4]
# `Kafka 4.1` in prose, `apache/kafka:4.1.0` as an image, `kafka-clients:4.1.0` as a jar.
_NAMED = re.compile(r"kafka(?:_2\.13|-[a-z]+)?[ :/-](\d+\.\d+(?:\.\d+)?)", re.IGNORECASE)
_PLACES = ("README.md", "CONTRIBUTING.md", "Dockerfile", "docker-compose.yml", "docs/*.md", "streams/**/*.xml")


def test_compose_runs_the_same_kafka_as_the_local_broker() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_nothing_names_another_version_of_kafka() -> None:
    named = {
        (path.name, version)
        for pattern in _PLACES
        for path in ROOT.glob(pattern)
        for version in _NAMED.findall(path.read_text())
    }
    assert ("docker-compose.yml", KAFKA_VERSION) in named
    assert {(place, version) for place, version in named if not KAFKA_VERSION.startswith(version)} == set()
