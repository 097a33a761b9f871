"""What the clients repeat for every attempt to connect is said once."""

import logging
import time

import pytest
from confluent_kafka import KafkaError

from engine.log.kafka import trouble as module
from engine.log.kafka.trouble import Trouble

DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "0/2 brokers are down")
DENIED = KafkaError(KafkaError._AUTHENTICATION, "Invalid username or password")
BROKERS = "127.0.0.1:1,127.0.0.1:2"


def refused(broker: int, milliseconds: int) -> KafkaError:
    text = f"127.0.0.1:{broker}/{broker}: Connection refused (after {milliseconds}ms in state CONNECT)"
    return KafkaError(KafkaError._TRANSPORT, text)


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_that_one_of_several_brokers_is_away_is_said_once_until_it_is_news_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(BROKERS)
    with caplog.at_level(logging.DEBUG, "runline.kafka"):
        for attempt in range(100):
            for broker in (1, 2):
                trouble.notice(refused(broker, attempt))
        assert len(said(caplog, logging.INFO)) == 2
        assert len(said(caplog, logging.DEBUG)) == 198
        monkeypatch.setattr(module, "_SILENT_SECONDS", -1.0)
        trouble.notice(refused(1, 0))
        assert len(said(caplog, logging.INFO)) == 3
    assert trouble.text == ""


def test_brokers_count_as_lost_when_they_do_not_answer_and_are_back_when_they_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = Trouble(BROKERS)
    with caplog.at_level(logging.INFO, "runline.kafka"):
        for times in (1, 2):
            asked = time.monotonic()
            trouble.notice(DOWN)
            assert trouble.questioned
            assert trouble.text == ""
            for _ in range(3):
                trouble.unanswered()
                trouble.notice(DOWN)
            assert trouble.text == f"Kafka at {BROKERS}: no broker can be reached"
            trouble.answered(asked)
            assert trouble.text, "what was asked before the loss says nothing of it"
            trouble.answered(time.monotonic())
            assert (trouble.text, trouble.questioned) == ("", False)
            assert len(said(caplog, logging.ERROR)) == len(said(caplog, logging.WARNING)) == times
        # A client that hears of it late.
        trouble.notice(DOWN)
        trouble.answered(time.monotonic())
        assert (trouble.text, len(said(caplog, logging.ERROR))) == ("", 2)


def test_a_refusal_stands_against_answers_of_other_brokers(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(BROKERS)
    for _ in range(5):
        trouble.notice(DENIED)
        trouble.notice(DOWN)
        trouble.unanswered()
        trouble.answered(time.monotonic())
        assert trouble.text == f"Kafka at {BROKERS}: Invalid username or password"
    assert len(said(caplog, logging.ERROR)) == 1
    trouble.answered(time.monotonic() + 60)
    assert trouble.text == ""
