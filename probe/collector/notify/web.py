"""Delivery over HTTP: webhooks (signed as Standard Webhooks 1.0 has it) and ntfy (published as JSON)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import msgspec

from probe.collector.notify.changes import Kind
from probe.collector.notify.message import Notification
from probe.collector.outgoing import anywhere, ask
from probe.model.config import NtfyConfig, WebhookConfig
from probe.model.errors import Unanswered

_NTFY_MOST = 3800  # bytes of text: a longer message becomes an attachment (4,096, ntfy's documentation)
_ANSWER_MOST = 65536

# Emoji short codes and priorities (1 … 5) of ntfy's documentation.
_TAGS: dict[Kind, tuple[str, int]] = {
    "opened": ("no_entry", 4), "reopened": ("no_entry", 4), "updated": ("information_source", 2),
    "closed": ("white_check_mark", 3), "withdrawn": ("leftwards_arrow_with_hook", 3),
}  # fmt: skip


class Webhook:
    """Posts the notification as JSON."""

    def __init__(self, config: WebhookConfig, key: bytes, context: ssl.SSLContext | None = None) -> None:
        self._config = config
        self._key = key
        self._context = context

    async def deliver(self, notification: Notification, at: int) -> str:
        """Send it at a time (ms). Returns what went wrong; empty: it was taken (2xx)."""
        body = msgspec.json.encode(notification)
        headers = {"Content-Type": "application/json", **signed(self._key, notification.id, at // 1000, body)}
        return await _post(self._config.url, headers, body, self._context)


class Ntfy:
    """Publishes title and text to a topic."""

    def __init__(self, config: NtfyConfig, token: str, context: ssl.SSLContext | None = None) -> None:
        """``token``: empty, if the topic asks for none."""
        self._config = config
        self._token = token
        self._context = context

    async def deliver(self, notification: Notification, at: int) -> str:  # noqa: ARG002 - ntfy dates it itself
        """Send it. Returns what went wrong; empty: it was taken."""
        server, topic = server_and_topic(self._config.url)
        body = msgspec.json.encode(published(notification, topic))
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return await _post(server, headers, body, self._context)


def signed(key: bytes, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks; ``at`` in seconds. HMAC-SHA256 over ``id.timestamp.body``."""
    digest = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def server_and_topic(url: str) -> tuple[str, str]:
    """``https://ntfy.example/colibri`` → its server's address and ``colibri``."""
    split = urlsplit(url)
    folder, _, topic = split.path.rstrip("/").rpartition("/")
    return urlunsplit((split.scheme, split.netloc, f"{folder}/", "", "")), topic


def published(notification: Notification, topic: str) -> dict[str, object]:
    """The message as ntfy's JSON."""
    # The most urgent of a digest; most of all, that something has begun.
    tag, priority = max((_TAGS[event.kind] for event in notification.events), key=lambda one: one[1])
    links = {event.link for event in notification.events if event.link}
    click: Mapping[str, str] = {"click": links.pop()} if len(links) == 1 else {}
    text = notification.text.encode()
    if len(text) > _NTFY_MOST:
        text = text[:_NTFY_MOST].rpartition(b"\n")[0] + "\n…".encode()
    return {"topic": topic, "title": notification.title, "message": text.decode(), "tags": [tag],
            "priority": priority, **click}  # fmt: skip


async def _post(url: str, headers: Mapping[str, str], body: bytes, context: ssl.SSLContext | None) -> str:
    try:
        answer = await ask("POST", url, headers, body, permitted=anywhere, most=_ANSWER_MOST, context=context)
    except Unanswered as error:
        return error.what  # without the address: that of a topic or a webhook may be a secret itself
    return "" if 200 <= answer.status < 300 else f"answered with status {answer.status}"
