"""Brokers to develop and test on: at an address, in Docker, or on a Java runtime that comes from PyPI."""

from engine.broker.cluster import Cluster
from engine.broker.errors import BrokerError
from engine.broker.start import ADDRESS_VARIABLE, find_broker, start_broker

__all__ = ["ADDRESS_VARIABLE", "BrokerError", "Cluster", "find_broker", "start_broker"]
