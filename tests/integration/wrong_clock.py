"""riskmon on a machine with a wrong clock: `python -m tests.integration.wrong_clock DAYS COMMAND …`."""

import sys
from datetime import UTC, datetime, timedelta

import time_machine

from streams.command.app import main

if __name__ == "__main__":
    shift = timedelta(days=float(sys.argv.pop(1)))
    with time_machine.travel(datetime.now(UTC) + shift):
        main()
