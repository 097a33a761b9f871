"""A progress service that tells an HTTP endpoint what happens, signed after the Standard Webhooks specification."""

try:
    from consumers.webhook.service import Webhook as Webhook
    from consumers.webhook.service import WebhookError as WebhookError
    from engine.change import RUN_TYPES as RUN_TYPES
    from engine.change import TRACE_TYPES as TRACE_TYPES
except ModuleNotFoundError as error:
    if error.name not in ("aiohttp", "yarl"):
        raise
    raise ModuleNotFoundError(
        "Expected the HTTP client aiohttp, but it is not installed: pip install 'runline[webhook]'", name=error.name
    ) from error
