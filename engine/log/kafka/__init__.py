"""The log on Kafka: the only package that knows the Kafka client."""

from engine.log.kafka.location import KafkaLocation, parse_location
from engine.log.kafka.log import KafkaLog

__all__ = ["KafkaLocation", "KafkaLog", "parse_location"]
