"""`python -m streams.command` is the `riskmon` command."""

from streams.command.app import main

main()
