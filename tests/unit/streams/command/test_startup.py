"""`--help` of every command answers at once: what a command needs is imported when it runs."""

import json
import subprocess
import sys

# Each costs 50 ms of CPU or more, or brings such a one along.
HEAVY = (
    "aiokafka",
    "asyncio",
    "faust",
    "numpy",
    "pandas",
    "plotly",
    "pydantic_settings",
    "river",
    "scipy",
    "sklearn",
    "starlette",
)

_ASK_ALL = """
import json, sys
import typer
from typer.testing import CliRunner
from streams.command.app import app

def paths(command, path=()):
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from paths(below, (*path, name))

asked = {}
for path in paths(typer.main.get_command(app)):
    answer = CliRunner().invoke(app, [*path, "--help"])
    asked[" ".join(path)] = [answer.exit_code, "--help" in answer.output]
print(json.dumps([asked, [name for name in sys.argv[1:] if name in sys.modules]]))
"""


def test_help_of_every_command_answers_without_anything_heavy() -> None:
    run = subprocess.run([sys.executable, "-c", _ASK_ALL, *HEAVY], capture_output=True, text=True, check=True)
    asked, imported = json.loads(run.stdout)
    assert imported == []
    assert {"", "worker", "demo", "doctor", "train", "deadletter", "deadletter list"} <= asked.keys()
    assert [path for path, answer in asked.items() if answer != [0, True]] == []
