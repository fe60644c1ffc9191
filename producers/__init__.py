"""Sources of events: the simulator, the replayer of tables, and the publisher both share."""
