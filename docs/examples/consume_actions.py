"""A collection system's consumer of riskmon.actions: each action is handled once, whatever crashes.

    python consume_actions.py kafka-1:9092,kafka-2:9092 work.sqlite

It needs aiokafka only. The action's id and the work it causes are written in one transaction of the consumer's own
database, and the offset is committed to Kafka after that. A crash in between brings the action again; its id is then
known, and nothing is done twice. The same holds when riskmon itself repeats an action after a crash of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sqlite3
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

SCHEMA = """
CREATE TABLE IF NOT EXISTS handled (action_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS work (
    borrower_id TEXT NOT NULL, strategy TEXT NOT NULL, arrears TEXT NOT NULL, why TEXT NOT NULL
);
"""


def read_action(value: bytes | None) -> dict[str, Any] | None:
    """The action that a message is; None if riskmon cannot have sent it.

    Raises `ValueError` for a version that this program does not know: skipped, the action would be lost.
    """
    try:
        action = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(action, dict) or not isinstance(action.get("action_id"), str) or "schema_version" not in action:
        return None
    if action["schema_version"] != 1:
        raise ValueError(f"action {action['action_id']} has schema version {action['schema_version']}")
    texts, reasons = [action.get(name) for name in ("borrower_id", "strategy", "arrears")], action.get("reasons")
    is_whole = all(isinstance(text, str) for text in texts) and isinstance(reasons, list)
    if not is_whole or not all(isinstance(each, dict) and isinstance(each.get("text"), str) for each in reasons):
        return None
    return action


def handle(action: dict[str, Any], database: sqlite3.Connection) -> bool:
    """Turn an action into work for collectors; False if it was handled before."""
    with database:
        new = database.execute("INSERT OR IGNORE INTO handled VALUES (?)", (action["action_id"],)).rowcount == 1
        if new:
            why = "; ".join(reason["text"] for reason in action["reasons"])
            work = (action["borrower_id"], action["strategy"], action["arrears"], why)
            database.execute("INSERT INTO work VALUES (?, ?, ?, ?)", work)
    return new


async def consume(bootstrap: str, topic: str, group: str, database: sqlite3.Connection) -> None:
    """Handle actions until cancelled; a borrower's actions come in order, since their key is the borrower."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        async for message in consumer:
            action = read_action(message.value)
            if action is None:
                print(f"no action: {message.topic}/{message.partition}@{message.offset}", file=sys.stderr, flush=True)
            else:
                done = "handled" if handle(action, database) else "known"
                print(f"{done} {action['action_id']} {action['borrower_id']} {action['strategy']}", flush=True)
            await consumer.commit()
    finally:
        await consumer.stop()


async def main() -> None:
    """Read the command line and run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bootstrap", help="Kafka's bootstrap servers, host:port, comma separated")
    parser.add_argument("database", help="SQLite file that holds the ids handled and the work")
    parser.add_argument("--topic", default="riskmon.actions")
    parser.add_argument("--group", default="collections")
    options = parser.parse_args()
    database = sqlite3.connect(options.database)
    database.executescript(SCHEMA)
    running = asyncio.create_task(consume(options.bootstrap, options.topic, options.group, database))
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        database.close()


if __name__ == "__main__":
    asyncio.run(main())
