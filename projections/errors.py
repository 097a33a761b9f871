"""What goes wrong with views."""

from engine.errors import RunlineError
from engine.store.errors import StoreDamagedError


class ViewsError(RunlineError):
    """The views cannot be asked now."""

    code = "views"


class ViewsNotReadyError(ViewsError):
    """The views are being made: they have not caught up with the log yet."""

    code = "views_not_ready"


class ViewsNewerError(ViewsError):
    """A newer version of Runline made the views."""

    code = "views_newer"


class ViewsDamagedError(ViewsError):
    """The list of views is not what was written."""

    code = "views_damaged"


class ViewsLockedError(ViewsError):
    """Another process folds into these views."""

    code = "views_locked"


class ViewsBehindError(ViewsError):
    """The views did not become as fresh as was asked for in time."""

    code = "views_behind"


class CursorError(ViewsError):
    """The cursor does not belong to this list."""

    code = "cursor"


def damaged_views(error: StoreDamagedError) -> StoreDamagedError:
    """Return the same with the way to go on, for whoever only reads the views: who folds them makes them anew."""
    return StoreDamagedError(error.args[0], hint="Fold the log anew: runline rebuild.")
