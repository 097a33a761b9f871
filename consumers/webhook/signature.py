"""Signatures after the Standard Webhooks specification: HMAC-SHA256 over id, time and body."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final

from engine.errors import ArgumentError
from engine.limits import WEBHOOK_SECRET_BYTES_MAX, WEBHOOK_SECRET_BYTES_MIN, WEBHOOK_SECRETS_MAX

_PREFIX: Final = "whsec_"


class Signer:
    """Signs with one secret, or with several while one replaces another.

    Args:
        secrets: Each `whsec_` and 24 to 64 random bytes in base64. The receiver accepts any one of the signatures.

    Raises:
        ArgumentError: There is no secret, there are too many, or one is none; the text never shows it.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        found = _found(secrets)
        if found:
            raise ArgumentError(f"expected a list of 1 to {WEBHOOK_SECRETS_MAX} secrets, but found {found}.")
        self._keys = [_key(number, secret) for number, secret in enumerate(secrets, 1)]

    def sign(self, webhook_id: str, timestamp: int, body: bytes) -> str:
        """Return the signatures as the header `webhook-signature` has them.

        Args:
            webhook_id: Without a full stop, which separates what is signed.
            timestamp: Of this attempt, in seconds since 1970 UTC.
            body: As it is sent.
        """
        assert "." not in webhook_id, "a full stop separates what is signed"
        signed = b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)
        return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in self._keys)


def _found(secrets: object) -> str:
    """Return what is wrong with a list of secrets, which must not be shown, or an empty text."""
    if isinstance(secrets, str):
        return "one text"
    if not isinstance(secrets, Sequence):
        return f"a value of type {type(secrets).__name__}"
    return "" if 1 <= len(secrets) <= WEBHOOK_SECRETS_MAX else f"{len(secrets)}"


def _key(number: int, secret: object) -> bytes:
    found = "another type of value"
    if isinstance(secret, str):
        found = f"a text that does not begin with {_PREFIX}"
        if secret.startswith(_PREFIX):
            try:
                key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
            except (binascii.Error, ValueError):
                found = "something that is not base64"
            else:
                if WEBHOOK_SECRET_BYTES_MIN <= len(key) <= WEBHOOK_SECRET_BYTES_MAX:
                    return key
                found = f"{len(key)} bytes"
    raise ArgumentError(
        f"expected secret {number} of the webhook to be {_PREFIX} and {WEBHOOK_SECRET_BYTES_MIN} to "
        f"{WEBHOOK_SECRET_BYTES_MAX} bytes in base64, but found {found}.",
        hint="Make one: python -c 'import base64, secrets; "
        'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\'',
    )
