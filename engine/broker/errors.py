"""What goes wrong with a broker that is started here."""

from engine.errors import RunlineError


class BrokerError(RunlineError):
    """A broker cannot be started or reached, or cannot do what was asked of it."""

    code = "broker"
