"""From the configuration to couriers: what can be wrong with it is said at the start, not when it matters."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from email.headerregistry import Address

from probe.collector.notify.desk import Courier, Subscription
from probe.collector.notify.mail import Mail
from probe.collector.notify.secrets import first_line, webhook_key
from probe.collector.notify.web import Ntfy, Webhook, server_and_topic
from probe.collector.outgoing import parts
from probe.model.config import EmailConfig, NtfyConfig, WebhookConfig
from probe.model.errors import ConfigError, Unanswered

AnyConfig = WebhookConfig | EmailConfig | NtfyConfig


def subscriptions(configs: Sequence[AnyConfig]) -> list[Subscription]:
    """One for each table of the configuration.

    Raises ConfigError: two of one name, an address that is none or would be sent secrets in the clear, a secret that
    can't be read.
    """
    found: list[Subscription] = []
    for i, config in enumerate(configs):
        where = f"collector.notify[{i}]"
        if any(config.name == other.config.name for other in found):
            raise ConfigError(f"{where}.name", f"{config.name!r} is the name of another one already")
        found.append(Subscription(config, _courier(config, where)))
    return found


def _courier(config: AnyConfig, where: str) -> Courier:
    match config:
        case WebhookConfig():
            _safe(config.url, f"{where}.url")
            return Webhook(config, webhook_key(config.secret_file, f"{where}.secret_file"))
        case NtfyConfig():
            _safe(config.url, f"{where}.url")
            if not server_and_topic(config.url)[1]:
                raise ConfigError(f"{where}.url", "names no topic: https://SERVER/TOPIC")
            token = first_line(config.token_file, f"{where}.token_file") if config.token_file else ""
            return Ntfy(config, token)
        case EmailConfig():
            return _mail(config, where)


def _mail(config: EmailConfig, where: str) -> Mail:
    for key, text in [("sender", config.sender), *((f"to[{i}]", one) for i, one in enumerate(config.to))]:
        try:
            Address(addr_spec=text)
        except (ValueError, IndexError):  # it raises both
            raise ConfigError(f"{where}.{key}", f"{text!r} is no e-mail address") from None
    if config.tls == "none" and not _here(config.server):
        raise ConfigError(f"{where}.tls", f"none: {config.server} is not this machine")
    if config.tls == "none" and config.username:
        raise ConfigError(f"{where}.username", "a password is never sent without TLS")
    try:
        context = ssl.create_default_context(cafile=config.ca or None)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"{where}.ca", f"{config.ca}: {error.strerror or error}") from None
    password = first_line(config.password_file, f"{where}.password_file") if config.password_file else ""
    if config.username and not password:
        raise ConfigError(f"{where}.password_file", "is missing beside username")
    return Mail(config, password, context)


def _safe(url: str, where: str) -> None:
    try:
        secure, host, _, _ = parts(url)
    except Unanswered as error:
        raise ConfigError(where, f"{url!r} {error.what}") from None
    if not secure and not _here(host):
        raise ConfigError(where, f"{url!r} is without TLS, and not on this machine")


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
