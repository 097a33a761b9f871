"""The id that a cluster's nodes are formatted with."""

import base64
import uuid


def new_cluster_id() -> str:
    """Return a new id as Kafka writes them: a UUID in URL-safe base64, 22 characters."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # Kafka's tools would take it for an option
            return text
