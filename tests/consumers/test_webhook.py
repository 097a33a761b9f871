import asyncio
import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest
import standardwebhooks

from consumers.webhook import RUN_TYPES, TRACE_TYPES, Webhook, WebhookError
from engine.core import events
from engine.errors import ArgumentError
from engine.limits import (
    WEBHOOK_ANSWER_BYTES_MAX,
    WEBHOOK_ANSWER_CHARACTERS_SHOWN,
    WEBHOOK_RETRY_AFTER_SECONDS_MAX,
    WEBHOOK_SECRET_BYTES_MAX,
    WEBHOOK_SECRET_BYTES_MIN,
    WEBHOOK_SECRETS_MAX,
)
from engine.ports import SystemClock
from tests.consumers.receiving import RUN, TRACE, Answer, Receiver, delivery, receiving, status

HERE = ("127.0.0.0/8",)
MEGABYTE = b"\0" * 1024 * 1024


def secret(number: int = 1, length: int = 32) -> str:
    return "whsec_" + base64.b64encode(bytes([number]) * length).decode()


def webhook_to(receiver: Receiver, **settings: object) -> Webhook:
    """Return a webhook that fails at once, unless said otherwise: how patient it is has tests of its own."""
    return Webhook(
        receiver.url,
        [secret()],
        **{"allow_http": True, "allowed_networks": HERE, "patience": 0.0, **settings},  # type: ignore[arg-type]  # as the tests give them
    )


class Pauses(SystemClock):
    """A clock that stands still, save when somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []
        self.time = 1_800_000_000_000

    def milliseconds(self) -> int:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.time += int(seconds * 1000)


# What is sent.


async def test_a_change_of_a_run_is_told_in_full() -> None:
    async with receiving() as receiver:
        await webhook_to(receiver).run_progress(RUN, delivery())
    (request,) = receiver.requests
    assert request.line == "POST /hooks?token=t HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert orjson.loads(request.body) == {
        "type": "run.succeeded",
        "timestamp": "2026-01-02T03:04:05.000008Z",
        "event_id": "c" * 64 + ".1",
        "data": {
            "run_id": RUN.run_id,
            "workflow_id": "order",
            "workflow_version": "f" * 64,
            "tags": ["blue"],
            "status": "Success",
            "message": "success",
            "error": None,
            "created": "2026-01-02T03:04:05.000006Z",
            "started": "2026-01-02T03:04:05.000007Z",
            "stopped": "2026-01-02T03:04:05.000008Z",
        },
    }


async def test_contexts_are_told_when_that_is_wanted() -> None:
    async with receiving() as receiver:
        await webhook_to(receiver, contexts=True).run_progress(RUN, delivery())
    data = orjson.loads(receiver.requests[0].body)["data"]
    assert data["input_context"] == {"total": {"$type": "decimal", "value": "1.10"}}
    assert data["output_context"] == {"secret": "s"}


async def test_traces_are_told_when_their_types_are_wanted() -> None:
    async with receiving() as receiver:
        silent = webhook_to(receiver)
        await silent.trace_progress(TRACE, delivery(1, "trace.succeeded"))
        assert receiver.connections == 0
        choosy = webhook_to(receiver, types=["trace.succeeded"])
        await choosy.trace_progress(TRACE, delivery(1, "trace.succeeded"))
        await choosy.run_progress(RUN, delivery(2))
    (request,) = receiver.requests
    told = orjson.loads(request.body)
    assert (told["type"], told["data"]["node_id"], told["data"]["status"]) == ("trace.succeeded", "pay", "Success")


def test_the_types_are_those_of_the_log() -> None:
    known = {name for each in events.Event.__args__ for name in each.__annotations__["type"].__args__}
    assert {*RUN_TYPES, *TRACE_TYPES} == known - {"command.refused"}


@pytest.mark.parametrize("types", ["run.failed", ["run.failed", "run.finished"], ["command.refused"], [5], None, 5])
def test_a_type_that_there_is_not_is_refused(types: list[str]) -> None:
    with pytest.raises(ArgumentError, match=r"expected types among run\.created, .* but found"):
        Webhook("https://example.com", [secret()], types=types)


HUGE = 10**5000


NO_URLS: list[object] = [None, 5, b"https://a", "", "https://ex ample.com"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        *(({"concurrent": each}, "an integer of at least 1 as concurrent") for each in (0, -1, 1.5, True, None, "2")),
        *(
            ({"timeout": each}, "seconds above 0 as timeout, but found")
            for each in (0, 0.0, -1.0, float("inf"), float("nan"), None, "20", True, HUGE)
        ),
        *(
            ({"patience": each}, "seconds from 0 on as patience, but found")
            for each in (-1, -0.1, float("inf"), float("-inf"), float("nan"), None, "1", False, HUGE)
        ),
        *(({"contexts": each}, "True or False as contexts") for each in (None, "no", 0)),
        *(({"allow_http": each}, "True or False as allow_http") for each in (None, "no", 1)),
        *(({"allowed_networks": each}, "a list of networks") for each in (None, "10.0.0.0/8", b"10", 5)),
        ({"allowed_networks": [None]}, "a network such as .* in allowed_networks, but found None"),
        ({"ssl_context": True}, "an ssl.SSLContext, or None, as ssl_context, but found True of type bool"),
        ({"clock": 5}, "a clock, or None, as clock, but found 5 of type int"),
        *(({"url": each}, "a URL such as .* as the endpoint of a webhook") for each in NO_URLS),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value!r:.40}" if HUGE not in value.values() else "huge",
)
def test_an_argument_with_which_nothing_could_be_sent_is_refused_by_name(
    settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ArgumentError, match=f"[Ee]xpected {said}"):
        Webhook(**{"url": "https://example.com", "secrets": [secret()], **settings})  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("secrets", [None, 5, secret().encode(), {secret()}, iter([secret()]), [None], [b"whsec_"]])
def test_secrets_of_another_type_are_refused_and_not_shown(secrets: list[str]) -> None:
    with pytest.raises(ArgumentError, match="secret") as refused:
        Webhook("https://example.com", secrets)
    assert secret()[6:] not in str(refused.value)


# How it is signed.


async def test_a_receiver_verifies_the_signature_with_the_specification_s_own_library() -> None:
    async with receiving() as receiver:
        await webhook_to(receiver).run_progress(RUN, delivery())
    (request,) = receiver.requests
    told = standardwebhooks.Webhook(secret()).verify(request.body, request.headers)
    assert told["data"]["run_id"] == RUN.run_id
    later = str(int(request.headers["webhook-timestamp"]) + 1)
    for body, headers in (
        (request.body.replace(b"Success", b"Failed!"), request.headers),
        (request.body, {**request.headers, "webhook-id": "another"}),
        (request.body, {**request.headers, "webhook-timestamp": later}),
    ):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret()).verify(body, headers)


async def test_while_one_secret_replaces_another_both_verify() -> None:
    secrets = [secret(number) for number in range(WEBHOOK_SECRETS_MAX)]
    async with receiving() as receiver:
        webhook = Webhook(receiver.url, secrets, allow_http=True, allowed_networks=HERE)
        await webhook.run_progress(RUN, delivery())
    (request,) = receiver.requests
    for each in secrets:
        standardwebhooks.Webhook(each).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret(99)).verify(request.body, request.headers)


async def test_a_repeated_change_has_the_same_id_and_a_new_time() -> None:
    clock = Pauses()
    async with receiving(status(500), status(204)) as receiver:
        webhook = webhook_to(receiver, clock=clock)
        with pytest.raises(WebhookError):
            await webhook.run_progress(RUN, delivery())
        clock.time += 5000
        await webhook.run_progress(RUN, delivery(attempt=2))
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "c" * 64 + "-1"
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("secrets", "text"),
    [
        ([], "1 to 4 secrets, but found 0"),
        ([secret(each) for each in range(WEBHOOK_SECRETS_MAX + 1)], "found 5"),
        (secret(), "found one text"),
        (["hidden"], "does not begin with whsec_"),
        (["whsec_hidden!"], "not base64"),
        ([secret(length=WEBHOOK_SECRET_BYTES_MIN - 1)], "23 bytes"),
        ([secret(length=WEBHOOK_SECRET_BYTES_MAX + 1)], "65 bytes"),
        ([b"hidden"], "another type"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_shown(secrets: list[str], text: str) -> None:
    with pytest.raises(ArgumentError, match=text) as refused:
        Webhook("https://example.com", secrets)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("length", [WEBHOOK_SECRET_BYTES_MIN, WEBHOOK_SECRET_BYTES_MAX])
def test_secrets_may_be_as_short_and_as_long_as_the_specification_says(length: int) -> None:
    Webhook("https://example.com", [secret(length=length)])


# Bad receivers.


async def refusal(webhook: Webhook, number: int = 1) -> WebhookError:
    with pytest.raises(WebhookError) as refused:
        await webhook.run_progress(RUN, delivery(number))
    return refused.value


@pytest.mark.parametrize("code", [400, 401, 404, 410, 429, 500, 502, 503, 504])
async def test_what_is_not_taken_is_an_error_that_shows_the_answer(code: int) -> None:
    async with receiving(status(code, body=b"no \x1b[2J \xff")) as receiver:
        error = await refusal(webhook_to(receiver))
    assert error.status == code
    assert f"127.0.0.1 answered {code} with 'no \\x1b[2J \\ufffd'." in str(error)
    assert ("remove the service" in str(error)) == (code == 410)


@pytest.mark.parametrize("code", [200, 201, 202, 204])
async def test_every_success_is_one(code: int) -> None:
    async with receiving(status(code)) as receiver:
        await webhook_to(receiver).run_progress(RUN, delivery())


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(code: int) -> None:
    async with receiving() as elsewhere, receiving(status(code, f"Location: {elsewhere.url}")) as receiver:
        error = await refusal(webhook_to(receiver))
    assert error.status == code
    assert "Redirects are not followed" in error.hint
    assert (elsewhere.connections, receiver.connections) == (0, 1)


async def hang(writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - it answers nothing
    await asyncio.Event().wait()


async def hang_in_the_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await hang(writer)


async def hang_in_the_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n")
    await hang(writer)


@pytest.mark.parametrize("answer", [hang, hang_in_the_head, hang_in_the_body])
async def test_a_receiver_that_hangs_is_given_up(answer: Answer) -> None:
    async with receiving(answer) as receiver:
        error = await refusal(webhook_to(receiver, timeout=0.1))
    assert str(error) == "127.0.0.1 did not answer in time (0.1 s to connect, 0.1 s in all)."
    assert error.status is None


async def test_a_receiver_that_hangs_in_the_middle_of_tls_is_given_up() -> None:
    # It waits for a request in plain text, and the client for TLS.
    async with receiving() as receiver:
        url = receiver.url.replace("http:", "https:")
        error = await refusal(Webhook(url, [secret()], allowed_networks=HERE, timeout=0.1, patience=0.0))
    assert "did not answer" in str(error)


async def close_at_once(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def close_in_the_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 20")


async def speak_otherwise(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def endless_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("answer", [close_at_once, close_in_the_head, speak_otherwise, endless_head])
async def test_an_answer_that_is_none_is_an_error(answer: Answer) -> None:
    async with receiving(answer) as receiver:
        error = await refusal(webhook_to(receiver))
    assert str(error).startswith(("127.0.0.1 cannot be reached: ", "127.0.0.1 gave no answer in HTTP: "))
    assert "token" not in f"{error!r}{error.__cause__}"


async def test_a_port_that_nobody_listens_to_is_an_error() -> None:
    async with receiving() as receiver:
        webhook = webhook_to(receiver)
    assert "127.0.0.1 cannot be reached: " in str(await refusal(webhook))


class Flood:
    """Answers with 1 GB, and counts what of it was taken."""

    def __init__(self, code: int) -> None:
        self._code = code
        self.megabytes = 0
        self.over = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 %d It\r\nContent-Length: %d\r\n\r\n" % (self._code, 1024 * len(MEGABYTE)))
            for _ in range(1024):
                writer.write(MEGABYTE)
                await writer.drain()
                self.megabytes += 1
        finally:
            self.over.set()


@pytest.mark.parametrize("code", [200, 500])
async def test_of_an_answer_of_a_gigabyte_hardly_anything_is_read(code: int) -> None:
    flood = Flood(code)
    async with receiving(flood) as receiver:
        webhook = webhook_to(receiver)
        if code == 200:
            await webhook.run_progress(RUN, delivery())
        else:
            error = await refusal(webhook)
            assert error.status == code
            assert WEBHOOK_ANSWER_CHARACTERS_SHOWN < WEBHOOK_ANSWER_BYTES_MAX
            assert str(error).count("\\x00") == WEBHOOK_ANSWER_CHARACTERS_SHOWN
        await flood.over.wait()
    # What the buffers of both ends hold.
    assert flood.megabytes < 32


# Pauses.


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", [7.0]),
        ("0", []),
        ("100000", [WEBHOOK_RETRY_AFTER_SECONDS_MAX]),
        ("9" * 400, [WEBHOOK_RETRY_AFTER_SECONDS_MAX]),
        ("9" * 5000, []),
        ("-5", []),
        ("soon", []),
        ("Mon, 99 Nov 99999 00:00:00 GMT", []),
        (format_datetime(datetime.fromtimestamp(1_800_000_000, UTC) + timedelta(seconds=9), usegmt=True), [9.0]),
        (format_datetime(datetime.fromtimestamp(1_800_000_000, UTC) - timedelta(seconds=9), usegmt=True), []),
    ],
)
async def test_an_endpoint_gets_the_pause_it_asks_for_within_bounds(asked: str, waited: list[float]) -> None:
    clock = Pauses()
    async with receiving(status(429, f"Retry-After: {asked}"), status(204)) as receiver:
        webhook = webhook_to(receiver, clock=clock)
        await refusal(webhook)
        assert clock.waited == []
        await webhook.run_progress(RUN, delivery(2))
        await webhook.run_progress(RUN, delivery(3))
    assert clock.waited == waited


# Order.


async def test_requests_go_out_one_after_the_other_in_the_order_of_the_calls() -> None:
    gate = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await status(204)(writer)

    async with receiving(wait) as receiver:
        webhook = webhook_to(receiver)
        calls = [asyncio.create_task(webhook.run_progress(RUN, delivery(number))) for number in range(20)]
        await receiver.received(1)
        assert receiver.connections == 1
        gate.set()
        await asyncio.gather(*calls)
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert ids == [f"{'c' * 64}-{number}" for number in range(20)]


async def test_several_requests_are_under_way_at_once_when_that_is_wanted() -> None:
    gate = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await status(204)(writer)

    async with receiving(wait) as receiver:
        webhook = webhook_to(receiver, concurrent=3)
        calls = [asyncio.create_task(webhook.run_progress(RUN, delivery(number))) for number in range(5)]
        await receiver.received(3)
        assert receiver.connections == 3
        gate.set()
        await asyncio.gather(*calls)
    assert len(receiver.requests) == 5


async def test_a_call_that_is_cancelled_lets_the_next_one_go() -> None:
    async with receiving(hang, status(204)) as receiver:
        webhook = webhook_to(receiver)
        call = asyncio.create_task(webhook.run_progress(RUN, delivery(1)))
        await receiver.received(1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await webhook.run_progress(RUN, delivery(2))
    assert len(receiver.requests) == 2
