"""Whatever is thrown at the real collector over a real Mosquitto: refused or shown harmless, counted, kept aside, and
the good findings before and after it are stored, once."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from probe.collector import instants
from probe.collector.sqlite_reader import SqliteReader
from probe.collector.subscriber import wall_clock
from probe.model import canonical, feed
from probe.model.config import Config
from probe.model.finding import Finding, Probe, Target
from probe.model.heartbeat import Heartbeat
from tests.collector.test_service import SERVE, Http
from tests.model.test_heartbeat import SAMPLE

if TYPE_CHECKING:
    from tests.collector.conftest import FakeProbe, Process, Uplink

pytestmark = pytest.mark.loopback
Probes = Callable[..., "FakeProbe"]
Until = Callable[..., None]
TOPIC = feed.finding("p-one", "dns_injection")
SQL = "x'); DROP TABLE findings; DELETE FROM probes;--"
SCRIPT = "<script>alert(document.cookie)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def monitor(
    settings: Config, processes: Callable[..., Process], uplink: Uplink, until: Until
) -> Iterator[Http]:
    process = processes(SERVE, msgspec.json.encode(settings).decode())
    monitor = Http(settings)
    until(lambda: monitor.health().get("status") == "ok", "the collector serves and is subscribed")
    yield monitor
    assert process.stop() == (0, ""), "it ends well, and complained of nothing"


def rejected(monitor: Http) -> dict[str, int]:
    """Reason → how many, as /metrics tells."""
    status, body = monitor.get("/metrics")
    assert status == 200
    told = re.findall(r'^colibri_messages_rejected_total{reason="(\w+)"} (\d+)$', body.decode(), re.MULTILINE)
    return {reason: int(number) for reason, number in told}


def changed(finding: Finding, **fields: Any) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(finding) | fields)


Bad = list[tuple[str, bytes, str, str]]  # topic, payload, reason, id that is answered


def bad_messages(owner: FakeProbe, thief: FakeProbe, stored: Finding) -> Bad:
    now = wall_clock()
    new = [owner.finding(at=now) for _ in range(12)]
    other = msgspec.structs.replace(owner.finding(at=now, signed=False), id=stored.id, verdict="down")
    elsewhere = thief.finding(at=now, signed=False, probe=Probe("p-two", "colibri 0.1.0"))
    beat = canonical.sign(msgspec.convert(SAMPLE | {"probe": "p-one"}, Heartbeat), owner.key)
    bomb = gzip.compress(bytes(200_000_000), 9, mtime=0)[: 64 * 1024]
    return [
        (TOPIC, b"", "bad_json", ""),
        (TOPIC, msgspec.json.encode(new[0])[:-7], "bad_json", ""),
        (TOPIC, b"[" * 100_000, "bad_json", ""),
        (TOPIC, b'{"id": "\xff\xfe"}', "bad_json", ""),
        (TOPIC, b"null", "bad_schema", ""),
        (TOPIC, changed(new[1], schema="colibri.finding/9"), "bad_schema", new[1].id),
        (TOPIC, changed(new[2], verdict="guilty"), "bad_schema", new[2].id),
        (TOPIC, msgspec.json.encode(new[3]).replace(b":0.97", b":1e400"), "bad_json", ""),
        (TOPIC, changed(new[4], details=[1, 2]), "bad_schema", new[4].id),
        (TOPIC, b"x" * 10_000_000, "too_large", ""),
        (TOPIC, changed(new[5], details={"junk": "y" * 300_000}), "too_large", ""),
        (TOPIC, msgspec.json.encode(owner.finding(at=10_000, id=new[6].id)), "bad_clock", new[6].id),
        (TOPIC, msgspec.json.encode(owner.finding(at=now + 900 * instants.DAY, id=new[7].id)), "bad_clock", new[7].id),
        (TOPIC, msgspec.json.encode(canonical.sign(other, owner.key)), "same_id", stored.id),
        (TOPIC, msgspec.json.encode(canonical.sign(elsewhere, thief.key)), "wrong_probe", ""),
        (feed.finding("p-one", "tcp_reset"), msgspec.json.encode(new[8]), "wrong_measurement", new[8].id),
        (TOPIC, changed(new[9], verdict="down"), "bad_signature", new[9].id),
        (TOPIC, changed(new[10], signature=None), "unsigned", new[10].id),
        (TOPIC, msgspec.json.encode(thief.finding(at=now, id=new[11].id)), "other_key", new[11].id),
        (feed.heartbeat("p-one"), b"{", "bad_json", ""),
        (feed.heartbeat("p-two"), msgspec.json.encode(beat), "wrong_probe", ""),
        (feed.heartbeat("p-one"), changed(beat, sequence=8), "bad_signature", SAMPLE["id"]),  # type: ignore[arg-type]
        (feed.info("p-one"), b"{", "bad_json", ""),
        (feed.availability("p-one"), b"away", "bad_schema", ""),
        (feed.evidence("p-one", stored.id), bomb, "bad_evidence", ""),
        (feed.evidence("p-one", stored.id), b"no gzip", "bad_evidence", ""),
    ]


def test_it_is_refused_counted_and_kept_aside_and_nothing_around_it_is_lost(
    monitor: Http, settings: Config, uplink: Uplink, probes: Probes, until: Until
) -> None:
    owner, thief = probes("p-one", seed=1), probes("p-one", seed=2)
    good = [owner.finding(at=wall_clock())]
    uplink.send(good[0])
    until(lambda: uplink.stored == [good[0].id], "the first is stored, and its key known")
    bad = bad_messages(owner, thief, good[0])
    for topic, payload, _, _ in bad:
        uplink.publish(topic, payload)
        good.append(owner.finding(at=wall_clock()))
        uplink.send(good[-1])
    until(lambda: set(uplink.stored) >= {f.id for f in good}, "every good one is stored", seconds=60)

    expected: dict[str, int] = {}
    for _, _, reason, _ in bad:
        expected[reason] = expected.get(reason, 0) + 1
    assert rejected(monitor) == expected
    answered = [(finding_id, reason) for _, _, reason, finding_id in bad if finding_id]
    assert uplink.refused == dict(answered)
    with closing(SqliteReader(settings.collector.database)) as reader:
        kept = reader.rejects(100)
        assert [(row.topic, row.reason) for row in reversed(kept)] == [(t, reason) for t, _, reason, _ in bad]
        assert [row.size for row in reversed(kept)] == [len(payload) for _, payload, _, _ in bad]
        assert max(len(row.head) for row in kept) <= 4096
        assert reader.counters()["stored"] == len(good)
        assert {row.id for row in reader.findings(100)} == {f.id for f in good}
        first = reader.finding(good[0].id)
        assert first is not None
        assert first.body == msgspec.json.encode(good[0]), "the first of that id is the one that stays"


def test_what_looks_like_code_is_text(
    monitor: Http, settings: Config, uplink: Uplink, probes: Probes, until: Until
) -> None:
    owner, now = probes("p-one"), wall_clock()
    sql = owner.finding("interfered", now, target=Target(SQL, SQL, SQL, 53, SQL))
    answer = owner.finding(
        "interfered", now, target=Target("news.example", SCRIPT), reasons=[f"The resolver said {SCRIPT}."],
        details={"answers": [SCRIPT], SCRIPT: SCRIPT}, line=msgspec.structs.replace(owner.line, operator=SCRIPT),
        rule=SCRIPT, version=SCRIPT,
    )  # fmt: skip
    uplink.send(sql, answer)
    until(lambda: set(uplink.stored) == {sql.id, answer.id}, "both are stored")
    assert uplink.refused == {}
    paths = ["/en/", "/fr/", "/ar/", f"/en/finding/{sql.id}", f"/ar/finding/{answer.id}", "/en/incidents"]
    pages = {path: monitor.get(path) for path in paths}
    for path, (status, body) in pages.items():
        assert status == 200, path
        assert b"<script>alert" not in body, path
        assert b"<img src=x" not in body, path
    assert b"&lt;script&gt;alert" in pages[f"/ar/finding/{answer.id}"][1], "it is shown, as text"
    assert b"DROP TABLE" in pages[f"/en/finding/{sql.id}"][1]
    status, found = monitor.get("/api/v1/findings")
    items = json.loads(found)["items"]
    assert {item["target"]["input"] for item in items} == {SQL, "news.example"}
    with closing(sqlite3.connect(settings.collector.database)) as db:
        assert db.execute("SELECT count(*) FROM findings").fetchone() == (2,)
        assert db.execute("SELECT count(*) FROM probes").fetchone() == (1,)
