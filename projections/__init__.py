"""Folds of the log that can be queried."""
