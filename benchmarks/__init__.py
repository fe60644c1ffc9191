"""Measurements: what is claimed in docs, and the commands that give it."""
