"""`broker`: brokers to develop and test on, for as long as the command runs."""

import signal
import time
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter, validators

from engine.broker import Cluster, start_broker
from engine.cli.exit_codes import SUCCESS
from engine.cli.options import Options
from engine.cli.output import Output
from engine.log.kafka.location import DEFAULT_PREFIX, KafkaLocation

broker = App(name="broker", help_format="plaintext")
_PORT_MAX: Final = 65_533
"""The other nodes have the two ports after it."""
_CHECK_SECONDS: Final = 1.0
_OPTIONS: Final = Options()


@broker.command
def up(
    *,
    nodes: Annotated[Literal[1, 3], Parameter(name="--nodes")] = 1,
    directory: Annotated[Path | None, Parameter(name="--directory")] = None,
    port: Annotated[int | None, Parameter(name="--port", validator=validators.Number(gte=1, lte=_PORT_MAX))] = None,
    options: Options = _OPTIONS,
) -> int:
    """Start Kafka brokers, print where they are, and end them at Ctrl-C or SIGTERM.

    Parameters
    ----------
    nodes
        How many.
    directory
        Keep data and logs here for the next start; else they are temporary.
    port
        The port of the first node, the others have the following ones; else free ones.
    """
    output = options.output()
    output.line(f"Starting {nodes} node{'s' if nodes > 1 else ''}; what it takes is downloaded the first time.")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: in order
    try:
        with start_broker(nodes, directory=directory, port=port) as cluster:
            _stay(output, cluster)
    finally:
        signal.signal(signal.SIGTERM, before)
    return SUCCESS


def _stay(output: Output, cluster: Cluster) -> None:
    """Say where the brokers are, and stay until the command is stopped or a node dies."""
    try:
        _print_address(output, cluster)
        while True:
            cluster.check()
            time.sleep(_CHECK_SECONDS)
    except KeyboardInterrupt:
        output.line("Stopping.")


def _print_address(output: Output, cluster: Cluster) -> None:
    location = str(KafkaLocation(cluster.bootstrap, DEFAULT_PREFIX))
    output.line(f"Apache Kafka answers at {cluster.bootstrap}, {cluster.place}.")
    output.line(f"export RUNLINE_DATA={location}")
    output.line("Ctrl-C ends it.")
    output.document({"bootstrap": cluster.bootstrap, "data": location, "nodes": cluster.nodes, "place": cluster.place})
