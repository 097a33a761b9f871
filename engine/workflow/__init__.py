"""Workflows as data: the definition, how it is read, built and checked."""
