"""`config`: the settings in force, and where each comes from."""

from rich.table import Table
from rich.text import Text

from engine.cli.exit_codes import SUCCESS
from engine.cli.options import ALL_OPTIONS, AllOptions
from engine.cli.secrets import hidden
from engine.cli.text import one_line
from engine.settings import KAFKA, Settings


def config(*, options: AllOptions = ALL_OPTIONS) -> int:
    """Print the settings in force and where each comes from: argument, environment, file or default."""
    output = options.output()
    loaded = options.load()
    values = shown(loaded.settings)
    table = Table.grid(padding=(0, 2))
    for name, value in values.items():
        table.add_row(
            Text(one_line(name)),
            Text(one_line("none" if value is None else str(value))),
            Text(one_line(loaded.sources[name])),
        )
    output.draw(table)
    for variable in loaded.unknown:
        output.line(f"The environment variable {variable} is no setting of runline.", "yellow")
    output.document(
        {
            "settings": {name: {"value": value, "source": loaded.sources[name]} for name, value in values.items()},
            "unknown_environment": list(loaded.unknown),
        }
    )
    return SUCCESS


def shown(settings: Settings) -> dict[str, object]:
    """Return settings as they may be shown: each property of the Kafka client on its own, secrets hidden."""
    values: dict[str, object] = {}
    for setting, value in settings.model_dump(mode="json").items():
        if setting == KAFKA and settings.kafka:
            values |= {f"{KAFKA}.{name}": text for name, text in hidden(settings.kafka).items()}
        else:
            values[setting] = None if setting == KAFKA else value
    return values
