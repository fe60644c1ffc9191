"""The architecture page names files and functions that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = sorted(set(re.findall(r"((?:streams|models|monitoring|producers)/[\w/]+\.py)(?::([A-Za-z_][\w.]*))?", PAGE)))


def defined(tree: ast.Module) -> set[str]:
    """Top-level functions and classes, and methods as `Class.method`."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names


def test_both_lives_are_told() -> None:
    assert len([name for _, name in NAMED if name]) > 25
    assert {"## Life of an event", "## Life of a label"} <= set(PAGE.splitlines())


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert not name or name in defined(tree)


def test_the_files_of_an_events_way_stand_in_the_order_of_reading() -> None:
    way = [path.name for path in sorted((ROOT / "streams").glob("*.py")) if path.name != "__init__.py"]
    drawn = [Path(file).name for file in re.findall(r"(streams/\w+\.py):", PAGE[: PAGE.index("The way is")])]
    assert list(dict.fromkeys(drawn)) == way
