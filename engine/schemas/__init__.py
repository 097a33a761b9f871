"""What stands on the log, for readers and writers in any language: JSON Schemas and an AsyncAPI document.

Generated from the code: `python -m engine.schemas` writes them to `schemas/`, a test compares.
"""

from engine.schemas.files import files

__all__ = ["files"]
