"""A simulated portfolio of a year, once for all tests of producers."""

import pytest

from producers.simulator.simulate import Emission, SimulationConfig, simulate

CONFIG = SimulationConfig(borrowers=500, days=360, seed=5)


@pytest.fixture(scope="session")
def emissions() -> list[Emission]:
    return list(simulate(CONFIG))
