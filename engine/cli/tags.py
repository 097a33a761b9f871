"""The option that tags a new run."""

from typing import Annotated

from cyclopts import Parameter

TagsOption = Annotated[
    list[str] | None, Parameter(name="--tag", negative="", help="What the new run is found by; any number of times")
]
