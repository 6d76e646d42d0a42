"""OONI's and RIPE's own parsers, each in an environment of its own, and whether they see what was exported."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import venv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.export import atlas, ooni
from probe.model.finding import Finding

Exported = tuple[Finding, dict[str, Any]]

PACKAGES = {"ooni": "oonidata==0.3.0", "atlas": "ripe.atlas.sagan==2.0.1"}
_CLASSES = {
    "web_connectivity": "WebConnectivity", "urlgetter": "UrlGetter", "stunreachability": "StunReachability",
    "http_header_field_manipulation": "HTTPHeaderFieldManipulation",
    "traceroute": "TracerouteResult", "dns": "DnsResult", "sslcert": "SslResult",
}  # fmt: skip
_CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def environment(kind: str, folder: Path) -> Path:
    """The Python of a new environment that has the parser and nothing of ours; skips where nothing can be installed."""
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGES[kind]],
        check=False, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{PACKAGES[kind]} can't be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return python


def exports(kind: str, findings: Sequence[Finding]) -> list[Exported]:
    """Every exported object, as it is read back from JSON, with its finding."""
    if kind == "ooni":
        made = [(one, ooni.measurement(one, Counter())) for one in findings]
    else:
        made = [(one, result) for one in findings for result in atlas.results(one, Counter())]
    return [(one, json.loads(msgspec.json.encode(exported))) for one, exported in made]


def parsed(kind: str, python: Path, sent: Sequence[Exported]) -> list[dict[str, Any]]:
    """What their parser makes of each. Raises AssertionError where it refuses one."""
    done = subprocess.run(
        [python, "-W", "ignore", Path(__file__).with_name("theirs.py"), kind], check=False, capture_output=True,
        input="".join(json.dumps(one) + "\n" for _, one in sent), text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(seen) == len(sent)
    return seen


def same_ooni(sent: dict[str, Any], seen: dict[str, Any]) -> set[str]:
    """Compare a measurement field by field with what ``oonidata`` sees; the paths of the leaves that were compared."""
    assert seen.pop("class") == _CLASSES[sent["test_name"]]
    return kept(sent, seen, "")


def kept(sent: Any, seen: Any, where: str) -> set[str]:
    """Compare all that their types keep of what was sent."""
    if isinstance(seen, dict) and isinstance(sent, dict):
        return set().union(*(kept(sent[key], seen[key], f"{where}.{key}") for key in seen.keys() & sent.keys()))
    if isinstance(seen, list) and isinstance(sent, list):
        assert len(seen) == len(sent), where
        inside = [kept(one, other, f"{where}[]") for one, other in zip(sent, seen, strict=True)]
        return {where}.union(*inside)
    assert (seen, type(seen)) == (sent, type(sent)), where
    return {where}


def same_atlas(finding: Finding, sent: dict[str, Any], seen: dict[str, Any]) -> None:
    """Compare a result with what ``sagan`` sees."""
    assert seen["class"] == _CLASSES[sent["type"]]
    assert seen["malformed"] is False
    common = ("msm_id", "prb_id", "fw", "timestamp")
    assert [seen[key] for key in common] == [sent[key] for key in common]
    assert seen["lts"] == (0 if finding.clock == "synchronised" else None)
    if sent["type"] == "dns":
        _same_answers(finding, sent, seen)
    else:
        (_same_way if sent["type"] == "traceroute" else _same_session)(sent, seen)


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


def _same_answers(finding: Finding, sent: dict[str, Any], seen: dict[str, Any]) -> None:
    """The answers that their parser reads out of ``abuf`` are those that the finding holds."""
    assert len(seen["responses"]) == len(sent["resultset"])
    for entry, response in zip(sent["resultset"], seen["responses"], strict=True):
        assert (response["dst"], response["af"], response["proto"], response["id"]) == (
            entry["dst_addr"], entry["af"], "UDP", entry["subid"]
        )  # fmt: skip
        assert response["code"] is None or response["questions"][0][0] == f"{finding.target.name}."
        assert response["code"] is None or response["rt"] == entry["result"]["rt"]
    told = [[response["code"], [_plain(one[2]) for one in response["answers"]] if response["code"] else []]
            for response in seen["responses"]]  # fmt: skip
    assert told == [[code, [_plain(text) for text in texts]] for code, texts in _held(finding)]


def _plain(text: str) -> str:
    """One spelling of an address, whoever wrote it."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _held(finding: Finding) -> list[list[Any]]:
    """(return code, addresses) of every answer about the target, out of the details; None where nothing came."""
    details, nothing = finding.details, {"rcode": None}
    if "resolver_trials" in details:
        trials = [trial or [nothing] for who in ("resolver", "silent") for trial in details[f"{who}_trials"]]
        heard = [one for trial in trials for one in trial]
        said = [{**one, "addresses": [text.partition(" ")[2] for text in one.get("answers", [])]} for one in heard]
    else:
        asked = [details["answers"].get(f"target, {who}", []) for who in ("resolver", "control", "silent")]
        said = [one or nothing for answers in asked for one in answers]
    return [[_CODES.get(one["rcode"]), one.get("addresses", [])] for one in said]


def _same_session(sent: dict[str, Any], seen: dict[str, Any]) -> None:
    assert (seen["dst"], seen["name"], seen["port"], seen["method"], seen["ttc"], seen["rt"], seen["error"]) == (
        sent["dst_addr"], sent["dst_name"], int(sent["dst_port"]), sent["method"], sent.get("ttc"), sent.get("rt"),
        sent.get("err"),
    )  # fmt: skip
