"""How benchmarks say what they found: a table for people, JSON for programs."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def publish(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print the rows as a table and as JSON, and write the JSON beside the benchmarks."""
    table = Table(title=name)
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=260).print(table)
    report = {
        "benchmark": name,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "rows": rows,
    }
    text = orjson.dumps(report, option=orjson.OPT_INDENT_2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_bytes(text + b"\n")
    print(text.decode())
