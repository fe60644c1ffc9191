"""The live web console."""
