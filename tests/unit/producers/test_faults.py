"""Faults on request: counted, and no event is lost."""

from producers.faults import FaultConfig, FaultTally, inject
from producers.simulator.simulate import Emission
from streams.contracts.events import DayClosed


def test_faults_are_counted_and_lose_no_event(emissions: list[Emission]) -> None:
    tally = FaultTally()
    config = FaultConfig(duplicates=0.1, disorder=0.1, malformed=0.1)
    records = list(inject(iter(emissions), config, tally))
    assert len(records) == len(emissions) + tally.duplicates + sum(tally.malformed.values())
    originals = {each.event.to_json() for each in emissions}
    assert originals <= {record.value for record in records}
    # As many records, but not in order: an event is held back behind later ones.
    kept = [record.value for record in records if record.value in originals]
    assert list(dict.fromkeys(kept)) != [each.event.to_json() for each in emissions]
    first_seen: dict[bytes, int] = {}
    for at, record in enumerate(records):
        first_seen.setdefault(record.value, at)
    ticks = [first_seen[e.event.to_json()] for e in emissions if isinstance(e.event, DayClosed)]
    assert ticks == sorted(ticks)
