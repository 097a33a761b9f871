"""Write the schemas anew: `python -m engine.schemas`."""

from pathlib import Path

from engine.schemas import files

directory = Path("schemas")
directory.mkdir(exist_ok=True)
for name, text in files().items():
    (directory / name).write_text(text, encoding="utf-8")
