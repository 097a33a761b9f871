"""Logs on a real Kafka broker, each with topics of its own."""

import asyncio
import secrets
from collections.abc import Mapping

from engine.log.kafka import KafkaLocation, KafkaLog
from engine.log.kafka.topics import apply_topics


async def new_location(broker: str, partitions: int = 1, properties: Mapping[str, str] | None = None) -> KafkaLocation:
    """Make the topics of a log that nobody has used before."""
    location = KafkaLocation(broker, f"test-{secrets.token_hex(6)}")
    await asyncio.to_thread(apply_topics, location, {} if properties is None else properties, partitions)
    return location


async def open_kafka(broker: str, partitions: int = 1) -> KafkaLog:
    """Open a log that nobody has used before."""
    return await KafkaLog.open(await new_location(broker, partitions))
