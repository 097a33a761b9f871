"""Properties of the Kafka client as they may be shown."""

from collections.abc import Mapping


def hidden(properties: Mapping[str, str]) -> Mapping[str, str]:
    """Return properties without what is secret."""
    if not properties:
        return {}
    # Only here: whoever has no brokers need not wait for their client to load.
    from engine.log.kafka.properties import masked  # noqa: PLC0415

    return masked(properties)
