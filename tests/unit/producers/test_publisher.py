"""What is published: the simulation's messages with the faults among them. Kafka itself is in the integration tests."""

from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig, simulate

CONFIG = SimulationConfig(borrowers=20, days=60, seed=4)


def test_without_faults_the_records_are_the_simulations() -> None:
    tally = FaultTally()
    records = list(simulated_records(CONFIG, FaultConfig(), tally))
    assert [record.value for record in records] == [emission.event.to_json() for emission in simulate(CONFIG)]
    assert [record.key is None for record in records] == [record.partition is not None for record in records]
    assert (tally.duplicates, tally.malformed) == (0, {})


def test_faults_are_the_same_for_the_same_seed() -> None:
    faults = FaultConfig(duplicates=0.1, disorder=0.1, malformed=0.1, seed=9)
    first, again = (list(simulated_records(CONFIG, faults, FaultTally())) for _ in range(2))
    assert first == again
    assert first != list(simulated_records(CONFIG, FaultConfig(0.1, 0.1, 0.1, seed=8), FaultTally()))
