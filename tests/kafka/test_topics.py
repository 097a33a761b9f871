"""Topics that are not as the log needs them are refused by name, before anything is written."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Iterator

import pytest
import trustme
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its own list of public names is not complete
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from engine import EngineService, Registry, RunStatus
from engine.broker import Cluster
from engine.broker.jvm import JvmCluster
from engine.cli.app import invoke
from engine.cli.exit_codes import OPEN, OPERATING, SUCCESS, USAGE
from engine.core.commands import encode
from engine.errors import LogError
from engine.limits import KAFKA_ANSWER_SECONDS_MAX
from engine.log.errors import LogDeniedError, LogUnreachableError, PlaceUnknownError, TopicsError
from engine.log.kafka import KafkaLocation, KafkaLog, topics
from engine.log.kafka.admin import Admin
from engine.log.kafka.topics import REPLICAS_MAX, apply_topics, plan_topics
from engine.log.port import COMMANDS, EVENTS, PARKED, REJECTIONS, TOPICS, WORKFLOWS
from tests.kafka.engines import eventually, executor, start_of
from tests.kafka.foreign import Foreign
from tests.support.engines import executor_of
from tests.support.logs import new_location
from tests.support.workflows import END, chain, code, registry

SECONDS = 90


async def replace(location: KafkaLocation, topic: str, partitions: int = 0) -> None:
    """Delete a topic, and create it with so many partitions, if any."""
    admin = AdminClient({"bootstrap.servers": location.brokers})
    name = location.topic(topic)
    (future,) = admin.delete_topics([name], operation_timeout=SECONDS).values()
    await asyncio.to_thread(future.result, SECONDS)
    if partitions:
        (future,) = admin.create_topics([NewTopic(name, partitions, 1)]).values()
        await asyncio.to_thread(future.result, SECONDS)


async def set_topic(location: KafkaLocation, topic: str, **settings: str) -> None:
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, location.topic(topic), incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": location.brokers})
    (future,) = admin.incremental_alter_configs([resource]).values()
    await asyncio.to_thread(future.result, SECONDS)


async def refusal(location: KafkaLocation) -> str:
    with pytest.raises(TopicsError) as caught:
        async with EngineService.open(str(location), Registry()):
            pass
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("topic", [*TOPICS, PARKED])
async def test_a_missing_topic_is_named(broker: str, topic: str) -> None:
    location = await new_location(broker)
    await replace(location, topic)
    assert f"create {location.topic(topic)}:" in await refusal(location)


async def test_numbers_of_partitions_that_differ_are_refused_for_people_to_decide(broker: str) -> None:
    location = await new_location(broker, 2)
    name = location.topic(COMMANDS)
    await replace(location, COMMANDS, 3)
    assert f"refuse {name}: expected 2 partitions, but it has 3" in await refusal(location)


async def test_topics_that_have_grown_together_are_refused_because_runs_would_be_in_the_wrong_partitions(
    broker: str,
) -> None:
    location = await new_location(broker, 2)
    async with executor(location, registry()) as engine:
        await engine.publish_workflow(chain(code("a", "add"), END))
        admin = AdminClient({"bootstrap.servers": broker})
        grown = [NewPartitions(location.topic(topic), 4) for topic in (COMMANDS, EVENTS)]
        for future in admin.create_partitions(grown).values():
            await asyncio.to_thread(future.result, SECONDS)
        # Whoever knows the log goes on with the number it has.
        assert (await engine.run_workflow("chain", {"number": 1})).run_status is RunStatus.SUCCESS
    text = await refusal(location)
    for topic in (COMMANDS, EVENTS):
        assert f"refuse {location.topic(topic)}: expected 2 partitions, but it has 4: a run lives in one" in text
    with pytest.raises(TopicsError, match="expected 2 partitions, as when workflows were published, but 4 are asked"):
        await asyncio.to_thread(apply_topics, location, {}, 4)


@pytest.mark.parametrize(
    ("topic", "setting", "value", "expected"),
    [
        (EVENTS, "cleanup_policy", "compact", "cleanup.policy=delete, but it is compact: compaction would keep one"),
        (EVENTS, "cleanup_policy", "compact,delete", "cleanup.policy=delete, but it is compact,delete"),
        (EVENTS, "retention_ms", "604800000", "retention.ms=-1, but it is 604800000: the history is the truth"),
        (EVENTS, "retention_bytes", "1000000", "retention.bytes=-1, but it is 1000000: the history is the truth"),
        (EVENTS, "max_message_bytes", "500000", "max.message.bytes=1040000, but it is 500000: the largest record"),
        (COMMANDS, "retention_ms", "3600000", "(at least 86400000), but it is 3600000: what is not decided yet"),
        (COMMANDS, "retention_bytes", "1000", "retention.bytes=-1, but it is 1000: what is not decided yet must not"),
        (COMMANDS, "cleanup_policy", "compact", "cleanup.policy=delete, but it is compact: two commands"),
        (COMMANDS, "message_timestamp_type", "CreateTime", "LogAppendTime, but it is CreateTime: only the brokers'"),
        (REJECTIONS, "retention_ms", "1000", "(at least 86400000), but it is 1000"),
        (REJECTIONS, "retention_bytes", "1000", "retention.bytes=-1, but it is 1000: what is not decided yet must not"),
        (PARKED, "cleanup_policy", "delete", "cleanup.policy=compact, but it is delete: what is parked is kept"),
        (WORKFLOWS, "cleanup_policy", "delete", "cleanup.policy=compact, but it is delete: every published version"),
    ],
)
async def test_a_setting_that_would_break_a_promise_is_refused_with_the_reason(
    broker: str, topic: str, setting: str, value: str, expected: str
) -> None:
    location = await new_location(broker)
    await set_topic(location, topic, **{setting: value})
    text = await refusal(location)
    assert f"change {location.topic(topic)}: " in text
    assert expected in text


async def test_another_number_of_replicas_is_said_to_be_what_only_people_can_mend(
    broker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    location = await new_location(broker, 2)
    said: dict[str, list[str]] = {}
    for command, expected in (("plan", OPEN), ("apply", SUCCESS)):
        arguments = ["topics", command, "--data", str(location), "--replication", "3"]
        assert await asyncio.to_thread(invoke, arguments) == expected
        said[command] = capsys.readouterr().out.splitlines()
    assert said["plan"] == said["apply"]
    *notes, last = said["plan"]
    assert len(notes) == len((*TOPICS, PARKED))
    assert all("has 1 replicas, not 3, which `runline topics apply` cannot mend" in note for note in notes)
    assert last == "the rest is as it must be, 2 partitions"
    assert plan_topics(location, {}).steps == ()
    assert plan_topics(location, {}, replicas=1).notes == ()


async def test_more_replicas_than_there_are_brokers_are_refused_and_nothing_is_half_made(
    broker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    location = await new_location(broker, 2)
    await replace(location, PARKED)
    await set_topic(location, COMMANDS, retention_ms="1000")
    said: dict[str, str] = {}
    for command, expected in (("plan", OPEN), ("apply", OPERATING)):
        arguments = ["topics", command, "--data", str(location), "--replication", "3"]
        assert await asyncio.to_thread(invoke, arguments) == expected
        said[command] = "".join(capsys.readouterr())
    for text in said.values():
        assert f"change {location.topic(COMMANDS)}: retention.ms=" in text
        assert f"refuse {location.topic(PARKED)}: 3 replicas, but the brokers say: " in text
    assert "nothing was changed" in said["apply"]
    assert [step.action for step in plan_topics(location, {}).steps] == ["change", "create"]


@pytest.mark.parametrize("number", ["0", str(REPLICAS_MAX + 1), "99999999999"])
def test_a_number_of_replicas_that_no_topic_can_have_is_wrong_usage(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["topics", "apply", "--data", "kafka://127.0.0.1:1/x", "--replication", number]) == USAGE
    assert f'Invalid value "{number}" for --replication' in capsys.readouterr().err


async def test_topics_of_which_the_brokers_refuse_one_are_not_made_at_all(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = KafkaLocation(broker, f"{(await new_location(broker)).prefix}-none")
    rule = topics._RULES[PARKED]["cleanup.policy"]
    monkeypatch.setitem(topics._RULES[PARKED], "cleanup.policy", rule._replace(value="nonsense"))
    with pytest.raises(LogError, match=f"create the topic {location.topic(PARKED)}"):
        await asyncio.to_thread(apply_topics, location, {}, 1)
    assert [step.action for step in plan_topics(location, {}).steps] == ["create"] * len((*TOPICS, PARKED))


async def test_replicas_in_sync_are_compared_when_a_number_of_replicas_is_asked_for(three_brokers: Cluster) -> None:
    location = await new_location(three_brokers.bootstrap)
    await set_topic(location, COMMANDS, min_insync_replicas="1")
    await eventually(lambda: bool(plan_topics(location, {}, replicas=3).steps), "the brokers know of it")
    (step,) = plan_topics(location, {}, replicas=3).steps
    assert f"change {location.topic(COMMANDS)}: min.insync.replicas=2, but it is 1: " in str(step)
    # Whoever does not ask lives with what is there.
    await (await KafkaLog.open(location)).close()
    apply_topics(location, {}, replicas=3)
    await eventually(lambda: not plan_topics(location, {}, replicas=3).steps, "the brokers know of it")


async def test_a_topic_that_is_deleted_under_an_executor_is_trouble_with_its_name(
    broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    location = await new_location(broker)
    with caplog.at_level(logging.ERROR):
        # A topic that the brokers do not know may be new to them, so the client waits for some time, usually 30 s.
        async with executor(location, registry(), **{"topic.metadata.propagation.max.ms": "500"}) as engine:
            await engine.publish_workflow(chain(code("a", "add"), END))
            await eventually(lambda: executor_of(engine).owned == (0,), "the partition is taken over")
            await replace(location, EVENTS)
            with Foreign(location) as foreign:
                foreign.put(COMMANDS, encode(start_of("chain").model_copy(update={"id": "c1"})))
            await eventually(lambda: location.topic(EVENTS) in engine.trouble, "trouble with the topic's name")
            print(engine.trouble)
    assert location.topic(EVENTS) in caplog.text


async def test_a_topic_that_is_deleted_and_made_again_has_another_identity(broker: str) -> None:
    location = await new_location(broker)
    log = await KafkaLog.open(location)
    before, beside = await log.topic_id(EVENTS), await log.topic_id(COMMANDS)
    await replace(location, EVENTS)
    with pytest.raises(PlaceUnknownError, match=f"look at the topic {location.topic(EVENTS)}"):
        await log.topic_id(EVENTS)
    with pytest.raises(PlaceUnknownError, match="`runline topics plan` says what is missing"):
        await log.ends(EVENTS, 0)
    await asyncio.to_thread(apply_topics, location, {}, 1)
    assert await log.topic_id(EVENTS) not in (before, beside)
    assert await log.topic_id(COMMANDS) == beside
    await log.close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """Yield a broker that wants a name and a password from its clients on a second port."""
    jaas = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_runline="right";'
    settings = {
        "listeners": "PLAINTEXT://127.0.0.1:29410,SASL_PLAINTEXT://127.0.0.1:29411,CONTROLLER://127.0.0.1:29412",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": jaas,
        "controller.quorum.voters": "1@127.0.0.1:29412",
    }
    with JvmCluster(port=29410, settings=settings) as cluster:
        yield cluster


def credentials(password: str) -> dict[str, str]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "runline",
        "sasl.password": password,
    }


async def test_wrong_credentials_are_said_to_be_wrong_and_never_shown(
    guarded: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.log.kafka.topics.KAFKA_ANSWER_SECONDS_MAX", 3)
    there = await new_location(guarded.bootstrap)
    location = KafkaLocation("127.0.0.1:29411", there.prefix)
    with pytest.raises(LogError) as caught:
        async with EngineService.open(str(location), Registry(), kafka_properties=credentials("wr0ng-secret")):
            pass
    print(caught.value)
    assert "Look at the security properties" in str(caught.value)
    assert "wr0ng-secret" not in str(caught.value) + caplog.text
    async with EngineService.open(str(location), Registry(), kafka_properties=credentials("right")) as engine:
        assert engine.trouble == ""


async def test_who_is_refused_again_and_again_need_not_wait_for_the_whole_time(guarded: Cluster) -> None:
    there = await new_location(guarded.bootstrap)
    begun = time.monotonic()
    with pytest.raises(LogDeniedError, match="Invalid username or password"):
        await KafkaLog.open(KafkaLocation("127.0.0.1:29411", there.prefix), credentials("wr0ng-secret"))
    assert time.monotonic() < begun + KAFKA_ANSWER_SECONDS_MAX


@pytest.mark.usefixtures("guarded")
def test_one_refusal_is_no_reason_to_give_up_and_refusals_of_one_broker_are_not_while_another_is_down() -> None:
    admin = Admin(KafkaLocation("127.0.0.1:29411", "x"), credentials("wr0ng-secret"))
    with pytest.raises(KafkaException):
        admin.look(None, 0.5)
    assert isinstance(admin.failure(KafkaException(KafkaError(KafkaError._TRANSPORT)), "look"), LogDeniedError)
    assert not admin._is_refused()
    admin._hear(KafkaError(KafkaError._TRANSPORT, "another broker is not up yet"))
    for _ in range(9):
        admin._hear(KafkaError(KafkaError._AUTHENTICATION, "no"))
    assert not admin._is_refused()


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, "closed without a word, as by a port that expects credentials or another `security.protocol`"),
        ({"security.protocol": "SSL"}, r"The client said last: .*SSL handshake failed.*PLAINTEXT broker listener"),
    ],
    ids=["no credentials", "SSL"],
)
async def test_a_protocol_that_the_port_does_not_speak_is_told_with_what_the_client_said(
    guarded: Cluster, properties: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.log.kafka.topics.KAFKA_ANSWER_SECONDS_MAX", 3)
    there = await new_location(guarded.bootstrap)
    with pytest.raises(LogUnreachableError, match=words):
        await KafkaLog.open(KafkaLocation("127.0.0.1:29411", there.prefix), properties)


async def test_who_speaks_ssl_to_a_plain_port_is_told_so_before_the_time_for_an_answer_is_up(guarded: Cluster) -> None:
    there = await new_location(guarded.bootstrap)
    begun = time.monotonic()
    with pytest.raises(LogUnreachableError, match="PLAINTEXT broker listener") as caught:
        await KafkaLog.open(there, {"security.protocol": "ssl"})
    assert time.monotonic() < begun + KAFKA_ANSWER_SECONDS_MAX / 2
    assert "This client speaks SSL. Is that the `security.protocol` of this port?" in str(caught.value)


async def test_who_speaks_plainly_to_an_ssl_port_is_told_so_before_the_time_for_an_answer_is_up() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context)  # noqa: ARG005 - nobody comes in
    port = server.sockets[0].getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(LogUnreachableError, match="closed without a word") as caught:
        await KafkaLog.open(KafkaLocation(f"127.0.0.1:{port}", "x"))
    server.close()
    assert time.monotonic() < begun + KAFKA_ANSWER_SECONDS_MAX / 2
    assert "This client speaks PLAINTEXT. Is that the `security.protocol` of this port?" in str(caught.value)


def test_only_ports_that_close_every_connection_for_some_time_are_taken_for_others() -> None:
    closed = KafkaError(KafkaError._TRANSPORT, "a: SSL handshake failed: Disconnected: SSL connection closed by peer")
    down = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
    elsewhere = [
        "a: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
        "a: Connection setup timed out in state CONNECT",
        "a: ApiVersionRequest failed: Local: Timed out",
    ]
    # It listens and answers nothing, so the client has nothing of its own to say.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = KafkaLocation(f"127.0.0.1:{silent.getsockname()[1]}", "x")
        admin = Admin(location, {"security.protocol": "plaintext"})
        assert not admin._is_cut_off(60.0)
        admin._hear(closed)
        admin._hear(down)
        assert not admin._is_cut_off(60.0), "once may be chance"
        admin._hear(down)
        assert admin._is_cut_off(60.0)
        assert not admin._is_cut_off(1.0), "what stands between may be up before the broker is"
        for text in elsewhere:
            slow = Admin(location, {})
            for error in (closed, down, KafkaError(KafkaError._TRANSPORT, text), closed, down, down):
                slow._hear(error)
            assert not slow._is_cut_off(60.0), text


async def test_brokers_that_do_not_agree_yet_on_the_topics_are_asked_again(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = await new_location(broker)
    asked: list[int] = []
    describe = AdminClient.describe_configs

    def describe_late(admin: AdminClient, resources: list[ConfigResource], **options: float) -> object:
        asked.append(len(resources))
        # The first answers are those of a broker that has not heard of one of the topics.
        late = ConfigResource(ResourceType.TOPIC, location.topic("late"))
        return describe(admin, [*resources[1:], late] if len(asked) < 3 else resources, **options)

    monkeypatch.setattr(AdminClient, "describe_configs", describe_late)
    log = await KafkaLog.open(location)
    await log.close()
    assert len(asked) == 3
