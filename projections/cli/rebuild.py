"""`rebuild`: folds all of a log anew."""

from datetime import UTC, datetime

from engine.cli.exit_codes import RUN_FAILED, SUCCESS
from engine.cli.interruption import Interruptible
from engine.cli.options import VIEWS_OPTIONS, ViewsOptions
from engine.cli.reading import open_reading
from engine.cli.text import duration
from projections.cli.catching_up import catch_up
from projections.cli.freshness import read_reaches
from projections.projector import Projector


def rebuild(*, options: ViewsOptions = VIEWS_OPTIONS) -> int:
    """Fold the whole log into new views, which then take the place of those that are there.

    Those are asked meanwhile. After Ctrl-C the next rebuild goes on where this one was.
    """
    output = options.output()
    settings = options.load().settings
    interruptible = Interruptible()
    interruptible.resume = f"runline rebuild{options.repeated()}"

    async def work() -> int:
        begun = datetime.now(UTC)
        async with open_reading(settings) as log, Projector(log, settings.views, anew=True) as projector:
            await catch_up(projector, output)
            found = await read_reaches(log, projector.positions)
        ended = datetime.now(UTC)
        records = sum(reach.position.offset for reach in found)
        output.line(f"{records} records are folded into {settings.views}; this took {duration(begun, ended)}")
        output.document(
            {
                "directory": str(settings.views),
                "records": records,
                "seconds": (ended - begun).total_seconds(),
                "partitions": [reach.data for reach in found],
            }
        )
        return RUN_FAILED if any(reach.position.stopped for reach in found) else SUCCESS

    return interruptible.run(work())
