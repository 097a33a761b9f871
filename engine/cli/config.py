"""`config`: the settings in force, and where each comes from."""

from rich.table import Table
from rich.text import Text

from engine.cli.exit_codes import SUCCESS
from engine.cli.options import ENGINE_OPTIONS, EngineOptions
from engine.cli.text import one_line


def config(*, options: EngineOptions = ENGINE_OPTIONS) -> int:
    """Print the settings in force and where each comes from: argument, environment, file or default."""
    output = options.output()
    loaded = options.load()
    values = loaded.settings.model_dump(mode="json")
    table = Table.grid(padding=(0, 2))
    for name, value in values.items():
        table.add_row(
            name, Text(one_line("none" if value is None else str(value))), Text(one_line(loaded.sources[name]))
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
