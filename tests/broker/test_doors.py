"""Further ways into a node: each is a listener, and whoever comes in by it is told to come by it again."""

from engine.broker.ports import HOST
from engine.broker.settings import Address, Door, node_settings


def test_a_door_is_a_listener_that_advertises_another_port() -> None:
    doors = [Door("A", 5, 6), Door("B", 7, 8)]
    settings = node_settings(1, [Address(1, 2)], {}, doors)
    assert settings["listeners"] == (f"PLAINTEXT://{HOST}:1,CONTROLLER://{HOST}:2,A://{HOST}:5,B://{HOST}:7")
    assert settings["advertised.listeners"] == f"PLAINTEXT://{HOST}:1,A://{HOST}:6,B://{HOST}:8"
    assert settings["listener.security.protocol.map"] == (
        "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,A:PLAINTEXT,B:PLAINTEXT"
    )


def test_without_doors_clients_are_told_of_the_listeners_whatever_they_are() -> None:
    settings = node_settings(1, [Address(1, 2)], {"listeners": "SASL_PLAINTEXT://127.0.0.1:3"})
    assert "advertised.listeners" not in settings
