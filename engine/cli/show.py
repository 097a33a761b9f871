"""`show`: one run as the log has it, beside a running engine too."""

from typing import Annotated

from cyclopts import Parameter

from engine.cli.execute import print_report
from engine.cli.exit_codes import SUCCESS
from engine.cli.interruption import Interruptible
from engine.cli.options import READING_OPTIONS, ReadingOptions
from engine.cli.reading import open_reading
from engine.core.identity import is_run_id
from engine.errors import RunIdInvalidError, RunNotFoundError
from engine.history import read_history, run_in, traces_in


def show(run_id: Annotated[str, Parameter(name="RUN")], /, *, options: ReadingOptions = READING_OPTIONS) -> int:
    """Show one run: timeline, errors, output. Works beside a running engine.

    Parameters
    ----------
    run_id
        The run's id.
    """
    if not is_run_id(run_id):
        raise RunIdInvalidError(f"Expected a run id, a UUID of version 7 in lower case, but found {run_id[:80]!r}.")
    output = options.output()
    settings = options.load().settings

    async def work() -> int:
        async with open_reading(settings) as log:
            history = await read_history(log, run_id)
        run = run_in(history)
        if run is None:
            raise RunNotFoundError(
                f"Expected the id of a run in {settings.data}, but it has none with the id {run_id}.",
                hint="'runline runs' lists the runs of a log.",
            )
        print_report(output, run, traces_in(history))
        return SUCCESS

    return Interruptible().run(work())
