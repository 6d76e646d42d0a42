"""What is known of a connection without paho; and that paho comes with the first call."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from probe.agent.link import Will, dial
from probe.model.config import MqttConfig
from tests.agent.conftest import Broker


def test_paho_is_loaded_by_who_dials_and_not_before() -> None:
    script = (
        "import asyncio, contextlib, json, sys\n"
        "from probe.agent import session\nfrom probe.agent.link import dial\n"
        "from probe.model.config import MqttConfig\n"
        "found = ['paho' in sys.modules]\n"
        "with contextlib.suppress(OSError):\n"
        "    asyncio.run(dial(MqttConfig(host='localhost', port=1), '', 'p-one', None))\n"
        "print(json.dumps([*found, 'paho' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [False, True]


@pytest.mark.loopback
def test_it_dials(broker: Broker) -> None:
    async def scene() -> bool:
        link = await dial(MqttConfig(host="localhost", port=broker.port), "", "p-one", Will("t", b"gone"))
        await link.close()
        return link.inbox.empty()

    assert not asyncio.run(scene())  # the broker's goodbye
