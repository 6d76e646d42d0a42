"""The writing side beside what the shared suite asks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from probe.collector.clickhouse.address import parse
from probe.collector.clickhouse.link import HttpLink, Link
from probe.collector.clickhouse.store import ClickHouseStore, Ticker
from probe.model.errors import StoreError
from tests.collector.clickhouse.conftest import ClickHouseDesk, Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collector.conftest import FakeProbe


def test_ticks_grow_whatever_the_clock_does(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5, 5, 3, 9])
    monkeypatch.setattr("time.time_ns", lambda: next(times))
    tick = Ticker()
    assert [tick() for _ in range(4)] == [5, 6, 7, 9]


@pytest.mark.long
@pytest.mark.loopback
def test_the_secret_of_the_homes_is_one_for_all_collectors(link: Link) -> None:
    here, there = ClickHouseStore(link), ClickHouseStore(link)
    assert len(here.home_secret()) == 32
    assert there.home_secret() == here.home_secret()


@pytest.mark.long
@pytest.mark.loopback
def test_over_tls_a_server_that_is_trusted_is_believed_and_no_other(
    tmp_path: Path, probes: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = Server(tmp_path, list, (certificate, key))
    server.start()
    try:
        where = parse(f"clickhouses://127.0.0.1:{server.https}/colibri")
        with pytest.raises(StoreError, match="certificate verify failed"):
            HttpLink(where)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with closing(HttpLink(where)) as link:
            finding = probes().finding()
            desk = ClickHouseDesk(link)
            desk.give(finding)
            assert [row.id for row in desk.reader.findings(9)] == [finding.id]
    finally:
        server.stop()
