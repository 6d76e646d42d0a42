"""Contract 1 as a golden list: what others have built on must never change or go."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from probe.model import finding as module
from probe.model.finding import Finding, Judgement, Target
from tests.samples import SAMPLE

ENUMS = {
    "Verdict": ["clean", "interfered", "down", "inconclusive"],
    "Placement": ["in_path", "on_path", "resolver", "unknown"],
    "Clock": ["synchronised", "unsynchronised"],
    "Access": ["fixed", "mobile", "unknown"],
    "Technique": [
        "dns_injection", "dns_redirect", "dns_lie", "tcp_reset", "trigger_drop", "block_page", "tls_interception",
        "ip_blackhole", "icmp_reject", "port_block", "udp_block", "voip_signalling", "voip_stun", "voip_media",
        "sip_alg", "throttling", "header_tampering",
    ],
}  # fmt: skip


def test_a_finding_of_contract_1_is_read_and_written_as_it_is() -> None:
    found = msgspec.convert(SAMPLE, Finding)
    assert msgspec.to_builtins(found) == SAMPLE
    assert msgspec.json.decode(msgspec.json.encode(found), type=Finding) == found


def test_no_field_has_gone() -> None:
    def held(sample: dict[str, Any], kind: Any) -> None:
        names = {field.encode_name for field in msgspec.structs.fields(kind)}
        assert set(sample) <= names, kind

    held(SAMPLE, Finding)
    for name in ("probe", "line", "target", "trials", "evidence", "signature", "interference"):
        held(SAMPLE[name], getattr(module, {"trials": "Tally"}.get(name, name.capitalize())))
    held(SAMPLE["interference"]["location"], module.Location)
    held(SAMPLE["interference"]["location"]["clean_hop"], module.Hop)


@pytest.mark.parametrize("name", ENUMS)
def test_no_word_has_gone(name: str) -> None:
    assert set(get_args(getattr(module, name))) >= set(ENUMS[name])


def test_what_every_finding_must_say() -> None:
    required = {field.name for field in msgspec.structs.fields(Finding) if field.required}
    assert required == set(SAMPLE) - {"schema", "signature"}


def put(sample: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *above, last = path.split(".")
    copy = msgspec.json.decode(msgspec.json.encode(sample))
    place = copy
    for name in above:
        place = place[name]
    place[last] = value
    return dict(copy)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "colibri.finding/2"), ("id", "0190a3b2-7c1d-4e2f-8a3b-4c5d6e7f8091"), ("id", ""),
        ("measurement", "Dns"), ("measurement", "a/b"), ("probe.id", "a/b"), ("probe.id", "#"), ("probe.id", ""),
        ("line.country", "ma"), ("line.asn", -1), ("line.asn", 2**32), ("line.access", "wifi"),
        ("target.port", 65536), ("target.input", "x" * 1025), ("started_at", "2026-01-02 03:04:05"),
        ("started_at", "2026-01-02T03:04:05Z"), ("duration_s", -0.1), ("clock", "good"), ("verdict", "blocked"),
        ("interference.technique", "magic"), ("interference.placement", "near"),
        ("interference.location.first_ttl", 256), ("trials.made", -1), ("confidence", 1.01), ("confidence", -0.01),
        ("reasons", [3]), ("reasons", ["x" * 1025]), ("evidence.pcapng_sha256", "abc"), ("evidence.packets", -1),
        ("details", []),
    ],
)  # fmt: skip
def test_what_the_contract_does_not_allow_is_refused_with_its_path(path: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(put(SAMPLE, path, value), Finding)
    assert f"$.{path}" in str(caught.value) or isinstance(value, list)


def test_a_field_of_tomorrow_is_not_an_error_of_today() -> None:
    assert msgspec.convert(SAMPLE | {"weather": "fine"}, Finding) == msgspec.convert(SAMPLE, Finding)


def test_judgements_share_no_list() -> None:
    one, two = (Judgement(verdict="clean", rule="x", target=Target("y")) for _ in range(2))
    one.reasons.append("z")
    one.details["a"] = 1
    assert two.reasons == []
    assert two.details == {}
