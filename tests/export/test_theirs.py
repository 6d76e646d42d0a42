"""OONI's and RIPE's own parsers read the exports, see the same values and come to the same verdict."""

from __future__ import annotations

import json
import subprocess
import venv
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.export import atlas, ooni
from tests.export.conftest import TECHNIQUES, golden, made
from tests.export.test_ooni import BECOMES

pytestmark = pytest.mark.long

PACKAGES = {"ooni": "oonidata==0.3.0", "atlas": "ripe.atlas.sagan==2.0.1"}
CLASSES = {
    "web_connectivity": "WebConnectivity", "urlgetter": "UrlGetter", "stunreachability": "StunReachability",
    "http_header_field_manipulation": "HTTPHeaderFieldManipulation",
}  # fmt: skip
ATLAS_CLASSES = {"traceroute": "TracerouteResult", "dns": "DnsResult", "sslcert": "SslResult"}
TLS = {"trigger": "tls", "port": 443, "twins": [{"handshake_ms": 21.0, "data": [{"after_ms": 22.0}]}],
       "trials": [{"handshake_ms": 20.0, "resets": [{"after_ms": 0.5}]}] * 3, "control_trials": []}  # fmt: skip
SYNTHETIC = [
    made("tcp_reset", TLS, "tcp_reset", address="2001:db8::1"),
    made("dns_injection", {"resolver": "192.0.2.53", "silent": "", "silent_trials": [], "control_ttls": [56],
                           "resolver_trials": [[{"after_ms": 20.0, "ttl": 56, "answers": ["1 192.0.2.1"]}]]}),
    made("ttl_path", {"protocol": "udp", "path": [{"ttl": 1, "routers": {"192.0.2.1": 3}, "rtt_ms": 5.5}]},
         address="192.0.2.1"),
]  # fmt: skip
"""Kinds that no golden recording has: TLS, a clean name, a plain path."""
FINDINGS = [*map(golden, TECHNIQUES), *SYNTHETIC]


@pytest.fixture(scope="module", params=PACKAGES)
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(format, the Python of an environment that has its parser and nothing of ours)."""
    kind: str = request.param
    folder = tmp_path_factory.mktemp(kind)
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGES[kind]],
        check=False, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{PACKAGES[kind]} can't be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return kind, python


def exports(kind: str) -> list[dict[str, Any]]:
    if kind == "ooni":
        found = [ooni.measurement(one, Counter()) for one in FINDINGS]
    else:
        found = [result for one in FINDINGS for result in atlas.results(one, Counter())]
    decoded: list[dict[str, Any]] = json.loads(msgspec.json.encode(found))
    return decoded


def test_their_parsers_see_what_was_exported(reader: tuple[str, Path]) -> None:
    kind, python = reader
    sent = exports(kind)
    done = subprocess.run(
        [python, "-W", "ignore", Path(__file__).with_name("theirs.py"), kind],
        input="".join(json.dumps(one) + "\n" for one in sent), check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(seen) == len(sent)
    for one, other in zip(sent, seen, strict=True):
        (_same_ooni if kind == "ooni" else _same_atlas)(one, other)


def _same_ooni(sent: dict[str, Any], seen: dict[str, Any]) -> None:
    assert seen.pop("class") == CLASSES[sent["test_name"]]
    compared = _kept(sent, seen, "")
    assert compared >= {
        f".{field}" for field in (
            "input", "measurement_start_time", "probe_asn", "probe_cc", "test_name", "test_version", "test_runtime",
            "software_version", "data_format_version", "resolver_ip", "annotations.clock",
        )
    }  # fmt: skip
    keys, ours = seen["test_keys"], sent["test_keys"]["x_colibri"]
    if ours["target"]["input"] != "site.example":  # a golden one
        expected = BECOMES[ours["interference"]["technique"]][2]
        assert {key: keys[key] for key in expected} == expected
        assert compared >= {f".test_keys.{key}" for key in expected if key != "tampering"}


def _kept(sent: Any, seen: Any, where: str) -> set[str]:
    """Compare all that their types keep of what was sent; the paths of the leaves that were compared."""
    if isinstance(seen, dict) and isinstance(sent, dict):
        found = set()
        for key in seen.keys() & sent.keys():
            found |= _kept(sent[key], seen[key], f"{where}.{key}")
        return found
    if isinstance(seen, list) and isinstance(sent, list):
        assert len(seen) == len(sent), where
        inside = [_kept(one, other, f"{where}[]") for one, other in zip(sent, seen, strict=True)]
        return {where}.union(*inside)
    assert (seen, type(seen)) == (sent, type(sent)), where
    return {where}


def _same_atlas(sent: dict[str, Any], seen: dict[str, Any]) -> None:
    assert seen["class"] == ATLAS_CLASSES[sent["type"]]
    assert seen["malformed"] is False
    assert {key: seen[key] for key in ("msm_id", "prb_id", "fw", "timestamp")} == {
        key: sent[key] for key in ("msm_id", "prb_id", "fw", "timestamp")
    }
    assert seen["lts"] == 0
    {"traceroute": _same_way, "dns": _same_answers, "sslcert": _same_session}[sent["type"]](sent, seen)


def _same_way(sent: dict[str, Any], seen: dict[str, Any]) -> None:
    assert (seen["dst"], seen["name"], seen["af"], seen["proto"], seen["end"], seen["hops"]) == (
        sent["dst_addr"], sent["dst_name"], sent["af"], sent["proto"], sent["endtime"], len(sent["result"])
    )  # fmt: skip
    assert seen["path"] == [[packet.get("from") for packet in hop["result"]] for hop in sent["result"]]
    last = sent["result"][-1]["result"]
    assert seen["reached"] is any(packet.get("from") == sent["dst_addr"] for packet in last)
    assert seen["success"] is any("rtt" in packet for packet in last)
    times = [packet["rtt"] for hop in sent["result"] for packet in hop["result"] if "rtt" in packet]
    assert seen["rtt"] == (times[-1] if times else None)
    assert seen["error"] is None


def _same_answers(sent: dict[str, Any], seen: dict[str, Any]) -> None:
    codes = {0: "NOERROR", 3: "NXDOMAIN"}
    asked = [(atlas.own_id(one.measurement, one.target.input, "dns"), one.rule) for one in FINDINGS]
    finding = FINDINGS[asked.index((sent["msm_id"], sent["x_colibri"]["rule"]))]
    assert len(seen["responses"]) == len(sent["resultset"])
    for entry, response in zip(sent["resultset"], seen["responses"], strict=True):
        assert (response["dst"], response["af"], response["proto"], response["id"]) == (
            entry["dst_addr"], entry["af"], "UDP", entry["subid"]
        )  # fmt: skip
        if "error" in entry:
            assert response["code"] is None
            continue
        assert response["rt"] == entry["result"]["rt"]
        assert response["code"] in codes.values()
        assert response["questions"] == [[f"{finding.target.name}.", "A"]]
        assert len(response["answers"]) == entry["result"]["ANCOUNT"]
    if finding.measurement == "dns_injection" and finding.verdict == "interfered":
        trials = [*finding.details["resolver_trials"], *finding.details["silent_trials"]]
        told = [reply["answers"] for trial in trials for reply in trial]
        assert [[f"1 {address}" for _, _, address, _ in one["answers"]] for one in seen["responses"]] == told
    elif finding.interference is not None and finding.interference.technique == "dns_lie":
        assert [one["code"] for one in seen["responses"]] == ["NXDOMAIN"] * 3 + ["NOERROR"] * 3 + [None] * 3
        assert seen["responses"][3]["answers"] == [["press.example.", "A", "203.0.113.10", 60]]


def _same_session(sent: dict[str, Any], seen: dict[str, Any]) -> None:
    assert (seen["dst"], seen["name"], seen["port"], seen["method"], seen["ttc"], seen["rt"], seen["error"]) == (
        sent["dst_addr"], sent["dst_name"], int(sent["dst_port"]), sent["method"], sent.get("ttc"), sent.get("rt"),
        sent.get("err"),
    )  # fmt: skip
