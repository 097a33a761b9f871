"""Where a webhook goes: one URL, checked once."""

import re
from typing import Final

from yarl import URL

from engine.errors import ArgumentError


def endpoint_of(text: object, *, allow_http: bool) -> URL:
    """Return an endpoint's URL.

    Args:
        text: As the user gave it.
        allow_http: Whether it may go without TLS.

    Raises:
        ArgumentError: It is none; the text shows neither its query nor user information, which may be secret.
    """
    try:
        url = URL(text) if isinstance(text, str) else None
    except ValueError:
        url = None
    if url is None or not url.absolute or url.raw_host is None or _HOST.fullmatch(url.raw_host) is None:
        raise _wrong("a URL such as 'https://example.com/hooks'", "something that is none")
    if url.scheme != "https" and not (allow_http and url.scheme == "http"):
        hint = "Without TLS anybody between can read it: allow_http=True." if url.scheme == "http" else ""
        raise _wrong("a URL that begins with https://", f"{url.scheme}://{url.host}", hint)
    if url.user is not None or url.password is not None:
        raise _wrong("a URL without user and password", "one that has them", _SIGNED)
    if url.fragment:
        raise _wrong("a URL without a fragment", f"one with #{url.fragment}")
    return url


_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]+")
"""A name as DNS has it, or an address."""
_SIGNED: Final = "The receiver knows a webhook by its signature."


def _wrong(expected: str, found: str, hint: str = "") -> ArgumentError:
    return ArgumentError(f"expected {expected} as the endpoint of a webhook, but found {found}.", hint=hint)
