"""Listening to the feed, for a person or a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from probe.agent.connection import Closed, Message, Subscribed, connect
from probe.model.config import MqttConfig
from probe.model.errors import CannotMeasure, UsageError
from probe.model.feed import ROOT

FINDINGS = f"{ROOT}/+/finding/+"
"""Topic filter of all findings."""


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
