"""`python -m engine.cli` is `runline`."""

from engine.cli import main

main()
