"""Listening to the feed, for a person or a script."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from probe.agent.connection import connect
from probe.agent.enrol_files import EnrolFiles
from probe.agent.link import Closed, Message, Subscribed
from probe.model.config import Config, MqttConfig
from probe.model.errors import CannotMeasure, ConfigError, UsageError
from probe.model.feed import ROOT

FINDINGS = f"{ROOT}/+/finding/+"
"""Topic filter of all findings."""
_SERVERS = frozenset({"collector", "bridge"})
"""Names of certificates that a running process of a server has (deploy/broker/acl)."""


def must_be_a_reader_s(config: Config) -> None:
    """Refuse the certificate of a daemon, of a collector or of the public broker's bridge: our broker names clients by
    it, and whoever comes under a name that is in use takes the other's place for as long as they stay.

    Raises CannotMeasure for it, and ConfigError for a file that can't be read or is no certificate.
    """
    tls = config.mqtt.tls
    if tls is None or not tls.certificate:
        return
    name = common_name(tls.certificate)
    taken = {config.probe.id, *_SERVERS}
    with contextlib.suppress(OSError, ConfigError, UnicodeError):  # those of another user: then it is not ours
        member = EnrolFiles(config.probe.state_dir).membership
        taken.add(member.name if member is not None else "")
        taken.add((Path(config.probe.state_dir) / "probe-id").read_text(encoding="ascii").strip())
    if name and name in taken:
        raise CannotMeasure(
            f"the certificate {tls.certificate} is {name}'s own: listening with it would push {name} off the broker",
            "take a reader's: docs/feed.md",
        )


def common_name(path: str) -> str:
    """The common name of the first certificate in a PEM file; empty if it has none. Raises ConfigError."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError("mqtt.tls.certificate", f"{path} can't be read: {error}") from None
    return next((str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


async def listen(
    config: MqttConfig, username: str, topic: str, seconds: float | None
) -> AsyncGenerator[Message, None]:
    """Messages on a topic (retained ones too) until so many ``seconds`` have passed (None: for ever).

    Raises CannotMeasure where the broker can't be reached, refuses the topic or goes away, UsageError for a filter that
    is none.
    """
    end = None if seconds is None else asyncio.get_running_loop().time() + seconds
    try:
        connection = await connect(config, "", username)
    except OSError as error:
        raise CannotMeasure(f"no connection to the broker {config.host}: {error}", "colibri doctor") from None
    try:
        try:
            connection.subscribe(topic)
        except ValueError:
            raise UsageError(f"{topic!r} is not a topic filter") from None
        while True:
            try:
                async with asyncio.timeout_at(end):
                    event = await connection.inbox.get()
            except TimeoutError:
                return
            match event:
                case Message():
                    yield event
                case Subscribed(failure) if failure:
                    raise CannotMeasure(f"the broker refuses the topic {topic!r}: {failure}")
                case Closed(reason):
                    raise CannotMeasure(f"the connection to the broker is lost: {reason}")
    finally:
        await connection.close()
