"""Delivery by e-mail: SMTP with TLS, plain text and HTML side by side (RFC 2046, 5.1.4), in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from probe.collector import instants
from probe.collector.notify.message import Notification
from probe.model.config import EmailConfig

SECONDS = 15.0
"""For each answer of the server; a thread can't be stopped, and the collector is to end within twenty."""
_log = logging.getLogger(__name__)
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Mail:
    """Sends a message to all recipients of a subscription."""

    def __init__(self, config: EmailConfig, password: str, context: ssl.SSLContext) -> None:
        self._config = config
        self._password = password
        self._context = context

    async def deliver(self, notification: Notification, at: int) -> str:
        """Send it at a time (ms). Returns what went wrong; empty: the server took it for every recipient."""
        try:
            message = composed(self._config, notification, at)
        except (ValueError, IndexError) as error:  # an address that is none; the email package raises both
            return f"can't be written as an e-mail: {error}"
        return await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> str:
        try:
            with self._connect() as server:
                if self._config.tls == "starttls":
                    server.starttls(context=self._context)
                if self._config.username:
                    server.login(self._config.username, self._password)
                refused = server.send_message(message)
        except smtplib.SMTPResponseException as error:
            return f"mail server: {error.smtp_code} {_text(error.smtp_error)}"
        except smtplib.SMTPRecipientsRefused as error:
            return f"mail server: {'; '.join(_refusals(error.recipients))}"
        except (OSError, smtplib.SMTPException) as error:
            return f"mail server: {error}"
        if refused:  # the others have it: to send it again would give it to them twice
            _log.warning("%s: the mail server refused %s", self._config.name, "; ".join(_refusals(refused)))
        return ""

    def _connect(self) -> smtplib.SMTP:
        port = self._config.port or _PORTS[self._config.tls]
        if self._config.tls == "tls":
            return smtplib.SMTP_SSL(self._config.server, port, timeout=SECONDS, context=self._context)
        kind: Callable[..., smtplib.SMTP] = smtplib.SMTP
        return kind(self._config.server, port, timeout=SECONDS)


def composed(config: EmailConfig, notification: Notification, at: int) -> EmailMessage:
    """The e-mail. Its Message-ID is made of the notification's id: whoever gets it twice can tell."""
    domain = Address(addr_spec=config.sender).domain or "localhost"
    message = EmailMessage()
    message["From"] = config.sender
    message["To"] = ", ".join(config.to)
    message["Subject"] = notification.title
    message["Date"] = format_datetime(instants.moment(at))
    message["Message-ID"] = f"<{notification.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday reply
    message.set_content(f"{notification.text}\n")
    message.add_alternative(_html(notification), subtype="html")
    message["Content-Language"] = notification.language  # last: until then it would go to the first part
    return message


def _html(notification: Notification) -> str:
    direction = "rtl" if notification.language == "ar" else "ltr"
    links = {event.link for event in notification.events if event.link}
    blocks = []
    for block in notification.text.split("\n\n"):
        lines = [escape(line) for line in block.split("\n")]
        text = "<br>\n".join(lines)
        for link in links:
            safe = escape(link)
            text = text.replace(safe, f'<a href="{safe}">{safe}</a>')
        blocks.append(f"<p>{text}</p>")
    title = escape(notification.title)
    return (
        f'<!doctype html>\n<html lang="{notification.language}" dir="{direction}"><head><meta charset="utf-8">'
        f"<title>{title}</title></head>\n<body><h1>{title}</h1>\n" + "\n".join(blocks) + "\n</body></html>\n"
    )


def _refusals(refused: dict[str, tuple[int, bytes]]) -> list[str]:
    return [f"{address}: {code} {_text(why)}" for address, (code, why) in refused.items()]


def _text(reason: bytes | str) -> str:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    return " ".join(text.split())
