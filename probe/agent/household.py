"""The connection to the volunteer's own broker, for Home Assistant. Off unless ``[homeassistant]`` names a host.

It is apart from the feed: what goes wrong here is logged and tried again, and never holds up a finding.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from probe.agent.backoff import Backoff
from probe.agent.homeassistant import Standing, Topics, discovery
from probe.agent.link import Closed, Dial, Will, dial
from probe.model import feed
from probe.model.config import HomeAssistantConfig, MqttConfig
from probe.model.finding import Finding, Name, Token

if TYPE_CHECKING:
    from probe.agent.connection import Connection

log = logging.getLogger(__name__)


class Household:
    """``run`` is its task; ``note`` is for the same event loop."""

    def __init__(
        self, config: HomeAssistantConfig, probe: Token, software: Name, *, backoff: Backoff,
        dial: Dial = dial,
    ) -> None:  # fmt: skip
        self._mqtt = MqttConfig(
            host=config.host, port=config.port, tls=config.tls, username=config.username,
            password_file=config.password_file,
        )  # fmt: skip
        self._probe, self._backoff, self._dial = probe, backoff, dial
        self._topics = Topics.of(probe, config.prefix)
        self._discovery = discovery(probe, software, self._topics)
        self._standing = Standing()
        self._link: Connection | None = None

    def note(self, finding: Finding) -> None:
        """Tell of a finding, now or once there is a connection."""
        self._standing.note(finding)
        if self._link is not None:
            self._link.wake()

    async def run(self) -> None:
        """Until cancelled; a broker that is away is tried again."""
        while True:
            try:
                # The broker chooses the client id: the feed's may be in use on the same broker.
                link = await self._dial(self._mqtt, "", self._probe, Will(self._topics.availability, feed.GONE))
            except OSError as error:
                log.warning("Home Assistant's broker %s: %s", self._mqtt.host, error)
            else:
                self._backoff.reset()
                log.warning("Home Assistant's broker %s: %s", self._mqtt.host, await self._serve(link))
            await asyncio.sleep(self._backoff.next())

    async def _serve(self, link: Connection) -> str:
        """Tell until the connection is lost; returns the reason."""
        self._link = link
        try:
            link.publish(self._topics.discovery, self._discovery, retain=True)
            link.publish(self._topics.availability, feed.AVAILABLE, retain=True)
            told = b""
            while True:
                state = self._standing.state()
                if state != told:  # what comes out of the inbox is an acknowledgement more often than news
                    link.publish(self._topics.state, state, retain=True)
                    told = state
                event = await link.inbox.get()
                if isinstance(event, Closed):
                    return event.reason
        finally:
            self._link = None
            link.publish(self._topics.availability, feed.GONE, retain=True)
            await link.close()
