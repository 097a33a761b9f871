"""The command line `runline`."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    from engine.cli.app import main as run_process  # noqa: PLC0415 - importing the package alone costs nothing

    run_process()
