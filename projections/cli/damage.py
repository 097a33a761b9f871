"""Damage of the log: whoever meets it learns how to find all of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import LogDamagedError


@contextmanager
def damage_named() -> Iterator[None]:
    """Say with damage of the log that is met in the block how to find all that there is.

    Raises:
        LogDamagedError: The log is damaged; the text names the place.
    """
    try:
        yield
    except LogDamagedError as error:
        hint = f"`runline audit` names every damaged place of the log. {error.hint}".rstrip()
        raise LogDamagedError(error.args[0], hint=hint) from error
