"""OONI's and RIPE's own parsers read the exports, see the same values and come to the same verdict."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from probe.lab import matrix, score
from probe.lab.lab import Lab
from probe.lab.scenario import Expectation, shipped
from probe.lab.score import Finished, Outcome
from probe.model.finding import Finding
from tests.export import ooni_format, readers
from tests.export.conftest import TECHNIQUES, golden, made
from tests.export.test_ooni import BECOMES
from tests.export.verdicts import agree

pytestmark = pytest.mark.long

TLS = {"trigger": "tls", "port": 443, "twins": [{"handshake_ms": 21.0, "data": [{"after_ms": 22.0}]}],
       "trials": [{"handshake_ms": 20.0, "resets": [{"after_ms": 0.5}]}] * 3, "control_trials": []}  # fmt: skip
CLEAN = {"resolver": "192.0.2.53", "silent": "", "silent_trials": [], "control_ttls": [56],
         "resolver_trials": [[{"after_ms": 20.0, "ttl": 56, "rcode": 0, "answers": ["1 192.0.2.1"]}], []]}  # fmt: skip
PATH = {"protocol": "udp", "path": [{"ttl": 1, "routers": {"192.0.2.1": 3}, "rtt_ms": 5.5}]}
OTHERS = [
    made("tcp_reset", TLS, "tcp_reset", address="2001:db8::1"), made("dns_injection", CLEAN),
    made("ttl_path", PATH, address="192.0.2.1", clock="unsynchronised"),
]  # fmt: skip
"""Kinds that no golden recording has: TLS, a clean name, a plain path."""
KEPT = {f".{field}" for field in (
    "input", "measurement_start_time", "test_start_time", "probe_asn", "probe_cc", "probe_ip", "probe_network_name",
    "report_id", "resolver_asn", "resolver_ip", "test_name", "test_version", "test_runtime", "software_name",
    "software_version", "data_format_version", "annotations.clock",
)}  # fmt: skip
KEPT_OF = {
    "dns_injection": {"queries[].answers[].ipv4", "queries[].resolver_address", "control.dns.addrs[]"},
    "dns_lie": {"queries[].failure", "queries[].rcode", "control.dns.addrs[]", "tls_handshakes[].address"},
    "tcp_reset": {"tcp_connect[].port", "tcp_connect[].status.success", "requests[].failure", "requests[].request.url",
                  "control.tcp_connect.203.0.113.10:80.status"},
    "voip_stun": {"network_events[].operation", "network_events[].failure", "endpoint"},
    "header_tampering": {"tampering.header_field_number", "tampering.header_name_diff[]"},
    "ip_blackhole": {"tcp_connect[].ip", "tcp_connect[].status.failure"},
}  # fmt: skip
"""Some of the leaves that their types must keep, so that the comparison is one."""


@pytest.fixture(scope="module")
def oonidata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with OONI's reader."""
    return readers.environment("ooni", tmp_path_factory.mktemp("ooni"))


@pytest.fixture(scope="module")
def sagan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with RIPE's."""
    return readers.environment("atlas", tmp_path_factory.mktemp("atlas"))


def test_oonidata_sees_the_same_of_the_golden_findings_and_judges_alike(oonidata: Path) -> None:
    sent = readers.exports("ooni", [*map(golden, TECHNIQUES), *OTHERS])
    seen = readers.parsed("ooni", oonidata, sent)
    for (_, one), other in zip(sent, seen, strict=True):
        assert readers.same_ooni(one, other) >= KEPT
    for technique, (finding, one), other in zip(TECHNIQUES, sent, seen, strict=False):
        keys = BECOMES[technique][2]
        assert {key: other["test_keys"][key] for key in keys} == keys
        compared = readers.kept(one, other, "")
        assert compared >= {f".test_keys.{leaf}" for leaf in KEPT_OF.get(technique, ())}
        agree(finding, {**one, "test_keys": other["test_keys"]})


def test_sagan_sees_the_same_of_the_golden_findings(sagan: Path) -> None:
    sent = readers.exports("atlas", [*map(golden, TECHNIQUES), *OTHERS])
    assert {one["type"] for _, one in sent} == {"traceroute", "dns", "sslcert"}
    for (finding, one), other in zip(sent, readers.parsed("atlas", sagan, sent), strict=True):
        readers.same_atlas(finding, one, other)


FOLDER = "COLIBRI_TEST_FINDINGS"


def keeping(lab: Lab, expected: Expectation) -> Outcome:
    """A runner of the score that keeps the findings. (It runs in other processes: the folder comes by environment.)"""
    return score.measured(lab, expected, partial(_kept_call, Path(os.environ[FOLDER])))


def _kept_call(folder: Path, lab: Lab, operator: str, words: Sequence[str], seconds: float) -> Finished:
    done = score._program(lab, operator, words, seconds)
    (folder / f"{uuid.uuid4()}.jsonl").write_bytes(done.stdout)
    return done


@pytest.mark.lab
def test_every_scenario_of_the_lab(
    oonidata: Path, sagan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    observed = matrix.run(runs=1, jobs=matrix.default_jobs(), progress=print, runner=keeping)
    assert {one.scenario for one in observed} == set(shipped())
    lines = [line for path in tmp_path.iterdir() for line in path.read_bytes().splitlines()]
    findings = [msgspec.json.decode(line, type=Finding) for line in lines]
    assert len(findings) >= sum(not one.outcome.error for one in observed) > 0.95 * len(observed)
    sent = readers.exports("ooni", findings)
    for (finding, one), other in zip(sent, readers.parsed("ooni", oonidata, sent), strict=True):
        ooni_format.check(one)
        assert readers.same_ooni(one, other) >= KEPT
        agree(finding, {**one, "test_keys": other["test_keys"]})
    sent = readers.exports("atlas", findings)
    for (finding, one), other in zip(sent, readers.parsed("atlas", sagan, sent), strict=True):
        readers.same_atlas(finding, one, other)
