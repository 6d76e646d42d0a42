"""Three servers that each have every row, by deploy/clickhouse/replicas.xml: one is killed, and it goes on."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.collector.clickhouse.address import parse
from probe.collector.clickhouse.link import HttpLink
from probe.collector.clickhouse.retention import Sweeper
from probe.collector.clickhouse.store import ClickHouseStore, Ticker
from probe.collector.ingest import judge_message
from probe.collector.instants import DAY
from probe.collector.keyring import Keyring
from probe.collector.retention import Rules
from probe.collector.verdicts import Judged, Outcome
from probe.model.errors import StoreError
from probe.model.finding import Finding
from tests.collector.clickhouse.conftest import ClickHouseDesk, Server, new_database, server_program
from tests.collector.conftest import NOON, Desk, free_port, until, wire
from tests.collector.test_rollup import findings, give, told
from tests.scripts import DEPLOY

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe

pytestmark = [pytest.mark.long, pytest.mark.loopback]
Probes = Callable[..., "FakeProbe"]
JAR = Path("/usr/share/java/zookeeper.jar")


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of Debian's ZooKeeper, which knows what each replica has."""
    if not JAR.exists() or shutil.which("java") is None:
        pytest.skip("no ZooKeeper: Debian has one (apt-get install libzookeeper-java default-jre-headless)")
    folder, port = tmp_path_factory.mktemp("keeper"), free_port()
    (folder / "zoo.cfg").write_text(
        f"tickTime=500\ndataDir={folder}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
    )
    process = subprocess.Popen(
        ["java", "-Xmx128m", "-cp", str(JAR), "org.apache.zookeeper.server.quorum.QuorumPeerMain", folder / "zoo.cfg"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: "Mode: standalone" in said(port), "ZooKeeper answers", 60)
        yield port
    finally:
        process.kill()
        process.wait()


def said(port: int) -> str:
    """What ZooKeeper tells of itself; empty: it is not there yet."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as sock:
        sock.sendall(b"srvr")
        return sock.makefile().read()
    return ""


def configured(number: int, servers: list[Server], keeper: int) -> str:
    """deploy/clickhouse/replicas.xml with the names of these servers, and of this one."""
    root = ET.parse(DEPLOY / "clickhouse/replicas.xml").getroot()  # noqa: S314 - our own
    listen, nodes = root.find("listen_host"), root.find("zookeeper")
    name = root.find("macros/replica")
    assert listen is not None
    assert nodes is not None
    assert name is not None
    root.remove(listen)  # loopback alone
    name.text = f"store-{number + 1}"
    for replica, server in zip(root.findall("remote_servers/colibri/shard/replica"), servers, strict=True):
        for part in list(replica):
            replica.remove(part)
        ET.SubElement(replica, "host").text, ET.SubElement(replica, "port").text = "127.0.0.1", str(server.tcp)
    for node in nodes.findall("node")[1:]:
        nodes.remove(node)
    for kind, value in (("host", "127.0.0.1"), ("port", str(keeper))):
        one = nodes.find(f"node/{kind}")
        assert one is not None
        one.text = value
    return ET.tostring(root, encoding="unicode")


@pytest.fixture(scope="module")
def replicas(keeper: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    server_program()
    made: list[Server] = []
    made += [Server(tmp_path_factory.mktemp(f"replica{number}"), lambda: made) for number in range(3)]
    try:
        for number, one in enumerate(made):
            one.more = configured(number, made, keeper)
            one.start()
        yield made
    finally:
        for one in made:
            one.stop()


@pytest.fixture
def link_to(replicas: list[Server]) -> Iterator[Callable[..., HttpLink]]:
    """A link to one database of this test's, by those servers first."""
    database, made = new_database(), list[HttpLink]()

    def make(first: int = 0) -> HttpLink:
        places = ",".join(f"127.0.0.1:{one.http}" for one in (*replicas[first:], *replicas[:first]))
        made.append(HttpLink(parse(f"clickhouse://{places}/{database}?cluster=colibri&quorum=2")))
        return made[-1]

    yield make
    for one in made:
        one.close()


def judged(finding: Finding) -> Judged:
    """As the subscriber hands it over."""
    topic, payload = wire(finding)
    return Judged(topic, payload, NOON + DAY, judge_message(topic, payload, NOON + DAY, Keyring({}, {})))


def count(link: HttpLink, table: str, host: int) -> int:
    """Rows that one server has itself, late as it may be."""
    ((found,),) = link.rows(
        "i", f"SELECT toInt64(count()) FROM {link.database}.{table}_local"  # noqa: S608
        " SETTINGS select_sequential_consistency = 0", host,
    )  # fmt: skip
    return int(found)


def test_one_is_killed_and_everything_goes_on_and_it_catches_up(
    replicas: list[Server], link_to: Callable[..., HttpLink], embedded: Desk, probes: Probes
) -> None:
    some = sorted(findings(probes), key=lambda one: one.started_at)
    give(embedded, some)
    expected = told(embedded)
    desk = ClickHouseDesk(link_to())
    give(desk, some[: len(some) // 2])
    replicas[0].stop(hard=True)
    try:
        give(desk, some[len(some) // 2 :])
        assert told(desk) == expected
        with closing(link_to()) as other:  # a collector that starts meanwhile
            assert told(ClickHouseDesk(other)) == expected
    finally:
        replicas[0].start()
    with closing(link_to()) as fresh:  # it asks the one that was away, which knows that it is late, or is not any more
        assert told(ClickHouseDesk(fresh)) == expected
        until(lambda: [count(fresh, "findings", host) for host in range(3)] == [len(some)] * 3, "each has every row")
    replicas[1].stop(hard=True)
    replicas[2].stop(hard=True)
    try:
        with closing(link_to()) as left:  # one is no majority: it says so, and what it promised stays true
            assert count(left, "findings", 0) == len(some)
            with pytest.raises(StoreError):
                ClickHouseStore(left).commit([judged(probes("p-late").finding())])
    finally:
        replicas[1].start()
        replicas[2].start()


def test_two_collectors_that_write_at_once_wait_for_one_another(
    link_to: Callable[..., HttpLink], probes: Probes
) -> None:
    stores = [ClickHouseStore(link_to(number)) for number in range(2)]
    makers = [probes(f"p-{number}") for number in range(2)]

    def write(number: int) -> list[Outcome]:
        given = [judged(makers[number].finding(at=NOON + turn * 1000)) for turn in range(8)]
        return [outcome for one in given for outcome in stores[number].commit([one])]

    with ThreadPoolExecutor(2) as threads:
        outcomes = [one for some in threads.map(write, range(2)) for one in some]
    assert [one.kind for one in outcomes] == ["stored"] * 16
    link = link_to(2)
    assert link.rows("i", "SELECT toInt64(uniqExact(id)) FROM findings") == [(16,)]
    assert link.rows("i", "SELECT sum(value) FROM counters WHERE name = 'stored'") == [(16,)], "equal counts add up"


def test_what_is_old_goes_from_all_of_them(link_to: Callable[..., HttpLink], probes: Probes) -> None:
    link = link_to()
    desk, probe, later = ClickHouseDesk(link), probes(), NOON + 100 * DAY
    desk.give(*(probe.finding(at=NOON + n) for n in range(5)), received_at=NOON)
    Sweeper(link, Ticker(), Rules(clean=DAY), lambda: later).sweep()
    desk.give(probe.finding(at=later), received_at=later)  # 18.16 touches what was written last with the next write
    # The new one stays, and of the five at most the one that was the present state when they looked.
    until(lambda: all(0 < count(link, "findings", host) <= 2 for host in range(3)), "the servers have done it", 60)
    assert [cell.last for cell in desk.reader.cells()] == [later]
