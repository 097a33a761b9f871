"""The service: sends one request for each change, and says whether the endpoint took it."""

import asyncio
import errno
import logging
import ssl
from collections.abc import Collection, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import aiohttp

from consumers.host.arguments import check_flag, check_seconds, wrong
from consumers.host.delivery import Delivery
from consumers.webhook.addresses import Addresses
from consumers.webhook.endpoint import endpoint_of
from consumers.webhook.message import body_of
from consumers.webhook.patience import Patience
from consumers.webhook.signature import Signer
from engine.arguments import check_running_max
from engine.change import RUN_TYPES, TRACE_TYPES
from engine.errors import ArgumentError, RunlineError
from engine.limits import (
    WEBHOOK_ANSWER_BYTES_MAX,
    WEBHOOK_ANSWER_CHARACTERS_SHOWN,
    WEBHOOK_CONNECT_SECONDS,
    WEBHOOK_PATIENCE_SECONDS,
    WEBHOOK_REFUSALS,
    WEBHOOK_RETRY_AFTER_SECONDS_MAX,
    WEBHOOK_SECONDS,
)
from engine.ports import Clock, SystemClock
from engine.run import Run, Trace

_LOGGER = logging.getLogger("runline.follow")

_SUCCESSES: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_ABOUT_THE_REQUEST: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.GONE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Answers that will not become better by waiting; all others, and none, may be of an endpoint that is not well."""


class WebhookError(RunlineError):
    """An endpoint did not take a webhook; whoever called sends it again.

    Attributes:
        status: The HTTP status that it answered, or None when it did not answer.
        away: Whether the same request may be taken later, when the endpoint is well.
    """

    code = "webhook"

    def __init__(self, message: str, *, status: int | None = None, away: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.away = away


class Webhook:
    """Sends every change to one HTTP endpoint, signed after the Standard Webhooks specification.

    `webhook-id` is the same whenever and however often a change is sent, so that the receiver can tell what it has had.
    What is not answered with 2xx is sent again after 1 s, then 2 s, up to 5 minutes, and meanwhile nothing else is
    sent; so it goes on for three days. `WebhookError` is raised after that, for an answer that says that the request is
    wrong, and for a change that is refused again and again while others are taken; the host of the service then calls
    again, and parks the change in the end. Requests go out in the order of the calls, save that one that failed goes to
    the end. Redirects are not followed, proxies and passwords of the environment are not used, and each request has a
    connection of its own, to an address that was checked when it was made.

    Args:
        url: The endpoint.
        secrets: Each `whsec_` and 24 to 64 bytes in base64; several while one replaces another.
        types: Types of events that are sent, such as `run.failed` or `trace.succeeded`.
        contexts: Whether input and output contexts are sent as well; they may hold secrets.
        concurrent: Requests at once. With more than one only the order of each run is kept.
        timeout: Seconds that one request may take in all.
        patience: Seconds for which the endpoint may be away before changes fail.
        allow_http: Whether the endpoint may be without TLS.
        allowed_networks: Networks that may be sent to although they are not public, such as `10.1.0.0/16`.
        ssl_context: How the endpoint's certificate is verified, where the machine's authorities do not know it.
        clock: Stamps requests, and waits when an endpoint asks for a pause.

    Raises:
        ArgumentError: One of the arguments is not what it must be; the text names it, and shows no secret.
    """

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        *,
        types: Collection[str] = RUN_TYPES,
        contexts: bool = False,
        concurrent: int = 1,
        timeout: float = WEBHOOK_SECONDS,
        patience: float = WEBHOOK_PATIENCE_SECONDS,
        allow_http: bool = False,
        allowed_networks: Sequence[str] = (),
        ssl_context: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_flag("contexts", contexts)
        check_flag("allow_http", allow_http)
        check_running_max("concurrent", concurrent)
        check_seconds("timeout", timeout, zero=False)
        check_seconds("patience", patience)
        _check_ports(ssl_context, clock)
        self._url = endpoint_of(url, allow_http=allow_http)
        self._signer = Signer(secrets)
        self._types = _known(types)
        self._contexts = contexts
        self._slots = asyncio.Semaphore(concurrent)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, WEBHOOK_CONNECT_SECONDS))
        self._addresses = Addresses(allowed_networks)
        self._ssl = True if ssl_context is None else ssl_context
        self._clock = SystemClock() if clock is None else clock
        self._patience = Patience(self._clock, patience)

    async def run_progress(self, run: Run, delivery: Delivery) -> None:
        """Send a change of a run.

        Raises:
            WebhookError: The endpoint did not take it.
        """
        await self._send(run, delivery)

    async def trace_progress(self, trace: Trace, delivery: Delivery) -> None:
        """Send a change of a trace, if its type is wanted.

        Raises:
            WebhookError: The endpoint did not take it.
        """
        await self._send(trace, delivery)

    async def _send(self, subject: Run | Trace, delivery: Delivery) -> None:
        if delivery.event_type not in self._types:
            return
        body = body_of(subject, delivery, contexts=self._contexts)
        webhook_id = delivery.event_id.replace(".", "-")
        refusals, taken = 0, None
        while True:
            async with self._slots:
                await self._patience.wait()
                try:
                    await self._attempt(webhook_id, body)
                except WebhookError as error:
                    # Others had their turn: if the endpoint took them, it is well.
                    refusals += taken is not None and self._patience.taken > taken
                    taken = self._patience.taken
                    self._bear(error, refusals)
                else:
                    self._note_taken()
                    return

    def _bear(self, error: WebhookError, refusals: int) -> None:
        """Note that the endpoint is away, if that is what the error says, and it may be.

        Raises:
            WebhookError: The change is given up, as far as this call goes.
        """
        seconds = self._patience.note_away() if error.away and refusals < WEBHOOK_REFUSALS else None
        if seconds is None:
            raise error
        _LOGGER.warning("%s Trying again in %.3g s", error, seconds)

    def _note_taken(self) -> None:
        seconds = self._patience.note_taken()
        if seconds is not None:
            _LOGGER.info("%s takes webhooks again, after %.0f s", self._url.host, seconds)

    async def _attempt(self, webhook_id: str, body: bytes) -> None:
        try:
            await self._post(webhook_id, body)
        except TimeoutError as error:
            bounds = f"{self._timeout.connect:g} s to connect, {self._timeout.total:g} s in all"
            raise WebhookError(f"{self._url.host} did not answer in time ({bounds}).", away=True) from error
        except aiohttp.ClientResponseError as error:
            # Its own text shows the whole URL, of which the query may be secret.
            said = error.message.partition("\n")[0].rstrip(": ")
            raise WebhookError(f"{self._url.host} gave no answer in HTTP: {said[:100]}.", away=True) from None
        except aiohttp.ClientError as error:
            # What is not connected to because of its address will not be later either.
            refused = isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno == errno.EACCES
            raise WebhookError(f"{self._url.host} cannot be reached: {error}.", away=not refused) from error

    async def _post(self, webhook_id: str, body: bytes) -> None:
        timestamp = self._clock.milliseconds() // 1000
        headers = {
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "Runline",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": self._signer.sign(webhook_id, timestamp, body),
        }
        connector = aiohttp.TCPConnector(
            resolver=aiohttp.ThreadedResolver(),
            socket_factory=self._addresses.make_socket,
            use_dns_cache=False,
            force_close=True,
            ssl=self._ssl,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status not in _SUCCESSES:
                raise await self._refused(answer)

    async def _refused(self, answer: aiohttp.ClientResponse) -> WebhookError:
        """Return the error that an answer stands for, and remember the pause that it asks for."""
        seconds = _retry_after(answer.headers.get("retry-after"), self._clock.milliseconds() / 1000)
        if seconds > 0:
            self._patience.ask_pause(seconds)
        if answer.status in _REDIRECTS:
            hint = "Redirects are not followed: name the endpoint where it is now."
        elif answer.status == HTTPStatus.GONE:
            hint = "It wants no webhooks any more: remove the service."
        else:
            hint = ""
        body = await answer.content.read(WEBHOOK_ANSWER_BYTES_MAX)
        text = ascii(body.decode(errors="replace")[:WEBHOOK_ANSWER_CHARACTERS_SHOWN]) if body else "an empty body"
        away = answer.status not in _ABOUT_THE_REQUEST
        message = f"{self._url.host} answered {answer.status} with {text}."
        return WebhookError(message, status=answer.status, away=away, hint=hint)


def _check_ports(ssl_context: object, clock: object) -> None:
    if not isinstance(ssl_context, ssl.SSLContext | None):
        raise wrong("an ssl.SSLContext, or None, as ssl_context", ssl_context)
    if clock is not None and not (hasattr(clock, "milliseconds") and hasattr(clock, "sleep")):
        raise wrong("a clock, or None, as clock", clock)


def _known(types: object) -> frozenset[str]:
    known = (*RUN_TYPES, *TRACE_TYPES)
    if isinstance(types, str) or not isinstance(types, Collection):
        raise wrong(f"types among {', '.join(known)}, in a list, as types", types)
    strange = [each for each in types if each not in known]
    if strange:
        raise ArgumentError(f"expected types among {', '.join(known)}, in a list, but found {strange[0]!r:.80}.")
    return frozenset(types)


def _retry_after(text: str | None, now: float) -> float:
    """Return the seconds that an endpoint asks to be left alone, bounded; 0 when it does not say or what it says."""
    if text is None:
        return 0
    try:
        seconds = int(text) if text.isascii() and text.isdigit() else _moment(text) - now
    except (ValueError, OverflowError):
        return 0
    return max(0, min(seconds, WEBHOOK_RETRY_AFTER_SECONDS_MAX))


def _moment(text: str) -> float:
    moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
