"""Two collectors on one broker's shared subscription and one store: one is killed, nothing is lost, nothing doubled."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from probe.collector.clickhouse.address import parse
from probe.collector.clickhouse.link import HttpLink
from probe.collector.clickhouse.reader import ClickHouseReader
from probe.model.config import CollectorConfig, Config, MqttConfig
from tests.collector.clickhouse.conftest import Server, new_database
from tests.collector.conftest import NOON, free_port

if TYPE_CHECKING:
    from tests.collector.conftest import Broker, FakeProbe, Process, Uplink

pytestmark = [pytest.mark.long, pytest.mark.loopback]
RUN = """
import sys
import msgspec
from probe.collector import service
from probe.model.config import Config

sys.exit(service.run(msgspec.json.decode(sys.argv[1], type=Config), lambda: print("ready", flush=True)))
"""
PROBES, EACH, AT_ONCE = 6, 150, 40


@pytest.fixture
def configs(broker: Broker, servers: list[Server], tmp_path: object) -> list[Config]:
    """Of two collectors, each of which knows the two shards in another order."""
    database = new_database()
    places = [f"127.0.0.1:{one.http}" for one in servers]
    return [
        Config(
            mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
            collector=CollectorConfig(
                database=f"{tmp_path}/beside{number}.sqlite3", share="colibri", client_id=f"collector-{number}",
                listen=f"127.0.0.1:{free_port()}", consents=[f"p-{n}" for n in range(PROBES)],
                store=f"clickhouse://{','.join(places[::1 - 2 * number])}/{database}?cluster=both",
            ),
        )
        for number in range(2)
    ]  # fmt: skip


def test_one_is_killed_and_nothing_is_lost_or_doubled(
    configs: list[Config], uplink: Uplink, probes: Callable[..., FakeProbe], processes: Callable[..., Process],
    until: Callable[..., None],
) -> None:  # fmt: skip
    def start(config: Config) -> Process:
        process = processes(RUN, msgspec.json.encode(config).decode())
        assert process.popen.stdout is not None
        assert process.popen.stdout.readline() == b"ready\n", process.wait()
        return process

    first = start(configs[0])  # it makes the tables
    second = start(configs[1])
    makers = [probes(f"p-{number}") for number in range(PROBES)]
    findings = [
        one.finding("interfered" if number % 3 else "clean", NOON + number * 1000)
        for number in range(EACH) for one in makers
    ]  # fmt: skip
    unsent, waiting, killed, sent = list(reversed(findings)), dict[str, float](), False, 0
    by_id = {one.id: one for one in findings}
    deadline = time.monotonic() + 240
    while unsent or waiting:
        assert time.monotonic() < deadline, f"{len(waiting)} of {len(findings)} are never answered"
        for finding_id in set(uplink.stored) & waiting.keys():
            del waiting[finding_id]
        now = time.monotonic()
        for finding_id in [one for one, at in waiting.items() if now - at > 4]:  # as a probe does
            waiting[finding_id] = now
            uplink.send(by_id[finding_id])
            sent += 1
        while unsent and len(waiting) < AT_ONCE:
            one = unsent.pop()
            waiting[one.id] = now
            uplink.send(one)
            sent += 1
        if not killed and len(unsent) < len(findings) // 2:
            first.popen.send_signal(signal.SIGKILL)
            killed = True
        time.sleep(0.01)
    assert killed
    assert uplink.refused == {}
    link = HttpLink(parse(configs[1].collector.store))
    reader = ClickHouseReader(link)
    dated = len(findings)
    until(
        lambda: sum(row.n for row in reader.history(["news.example"], 0, 1 << 60, 3_600_000)) == dated,
        "the one that is left has settled everything", 90,
    )  # fmt: skip
    assert {row.id for row in reader.findings(2 * dated)} == by_id.keys()
    assert len(reader.findings(2 * dated)) == dated
    (cell,) = reader.cells()
    assert (cell.probes, cell.last) == (PROBES, NOON + (EACH - 1) * 1000)
    shares = {name: value for name, value in reader.counters().items() if name in ("stored", "duplicate", "received")}
    assert shares["received"] >= dated - AT_ONCE * 2
    link.close()
    status, errors = second.stop()
    assert (status, "Traceback" in errors) == (0, False), errors
