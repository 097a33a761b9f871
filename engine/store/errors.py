"""What goes wrong at a store."""

from engine.errors import RunlineError


class StoreError(RunlineError):
    """The store cannot be read or written now."""

    code = "store"


class StoreLockedError(StoreError):
    """Another process, or this one, has the store open for writing."""

    code = "store_locked"


class StoreDamagedError(StoreError):
    """The store's bytes are not what was written."""

    code = "store_damaged"


class StoreFullError(StoreError):
    """There is no space left for the store."""

    code = "store_full"
