"""requirements.lock holds what pyproject.toml asks for, for every Python, and names no address."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
WANTED = [Requirement(each) for each in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]
STALE = "run `make lock`"


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_each_requirement_is_locked_to_a_version_that_fits(wanted: Requirement) -> None:
    pins = [Requirement(line) for line in re.findall(r"^([\w.-]+==[^\\\n]+?) *\\?$", LOCK, re.M)]
    found = [pin for pin in pins if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
    assert found, STALE
    for pin in found:
        (version,) = [each.version for each in pin.specifier]
        assert wanted.specifier.contains(version, prereleases=True), STALE


def test_no_index_is_named() -> None:
    assert re.findall(r"^--(?:index|extra-index|find-links)|https?:", LOCK, re.M) == []


def test_the_pythons_of_the_makefile_are_those_that_the_project_allows() -> None:
    allowed = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"])
    assert allowed
    versions = {f"python3.{minor}" for minor in range(int(allowed[1]), int(allowed[2]))}
    assert set(re.findall(r"\bpython3\.\d+\b", (ROOT / "Makefile").read_text())) == versions
