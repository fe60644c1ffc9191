"""PromQL taken apart: every expression of the rules and dashboards, and the operands behind their comparisons."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import yaml

from docs.generate.dashboards.__main__ import dashboard_files
from tests.support.prometheus_server import FILES

_CONDITIONS = {">", "<", ">=", "<=", "==", "!=", "and", "or", "unless"}
RULES = [rule for group in yaml.safe_load((FILES / "rules.yml").read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]


def operands(expression: str) -> Iterator[str]:
    """What an alert compares and combines. In good health its comparisons are empty, but none of these may be.

    `absent` is passed over, since what it asks for is there, and so are offsets, since the test is not that old; for
    the same reason a subquery looks back a minute only.
    """
    for part in _parts(promql_parser.parse(expression)):
        yield re.sub(r"\[\w+:\w+\]", "[1m:10s]", re.sub(r" offset \w+", "", part))


def _parts(node: Any) -> Iterator[str]:
    if isinstance(node, promql_parser.ParenExpr):
        yield from _parts(node.expr)
    elif isinstance(node, promql_parser.BinaryExpr) and str(node.op) in _CONDITIONS:
        yield from _parts(node.lhs)
        yield from _parts(node.rhs)
    elif isinstance(node, promql_parser.Call) and node.func.name == "absent":
        yield from _parts(node.args[0])
    elif not _is_constant(node):
        yield str(node)


def _is_constant(node: Any) -> bool:
    if isinstance(node, promql_parser.BinaryExpr):
        return _is_constant(node.lhs) and _is_constant(node.rhs)
    return isinstance(node, promql_parser.NumberLiteral)


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel of every dashboard file, with the file's name."""
    for file, content in dashboard_files().items():
        for panel in json.loads(content)["panels"]:
            if panel["type"] != "row":
                yield file, panel
