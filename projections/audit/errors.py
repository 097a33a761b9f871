"""What can be wrong with the files of an audit."""

from typing import ClassVar

from engine.errors import RunlineError


class RootsError(RunlineError):
    """A file is none with roots, or not as it was written."""

    code: ClassVar[str] = "roots_invalid"


class BundleError(RunlineError):
    """A file is no bundle, or not as it was written."""

    code: ClassVar[str] = "bundle_invalid"
