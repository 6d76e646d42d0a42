"""Evidence recorded once on the lab, judged again by today's rules: what was found then must still be found.

Each file is what `colibri measure … --pcap` wrote, named after its technique: scenarios dns-fixed-agg, reset-agg,
drop-packet (asked over HTTP), page-on-path and voip-stun (`udp-trigger call --trigger stun`), from the home of operator
sale; voip_media and sip_alg are calls (`voip --calls 5`) whose sound is dropped, whose SIP is rewritten, at sale.core;
dns_lie, dns_redirect and header_tampering are resolver-nxdomain, redirect-core and tamper-proxy. A rule that asks for
other packets than were recorded can't be held against them: then record them anew, and say why in the change.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from probe.engine.record import seal, unseal
from probe.engine.replay import replay
from probe.model.errors import ReplayMismatch
from probe.model.exchange import ListenStep

FOLDER = Path(__file__).with_name("golden")
RULES = {
    "dns_injection": ("dns_injection/answer-from-silent-address", 2),
    "tcp_reset": ("tcp_reset/reset-below-server", 2),
    "trigger_drop": ("tcp_reset/trigger-vanishes-before-server", 4),
    "block_page": ("tcp_reset/answer-below-server", 2),
    "ip_blackhole": ("blackhole/dies-where-others-pass", 2),
    "sip_alg": ("voip/sip-rewritten", 3),
    "voip_media": ("voip/payload-filtered", 3),
    "voip_stun": ("udp_trigger/trigger-vanishes-before-far-end", 2),
    "dns_lie": ("dns_resolver/denied-name", 4),
    "dns_redirect": ("dns_resolver/silent-address-answers", 1),
    "header_tampering": ("tampering/request-rewritten", 3),
}
"""Technique → rule, and the TTL at which packets still pass."""
FIRST = {"dns_lie": (5, "198.18.30.53"), "dns_redirect": (5, "198.18.30.5")}
"""Technique → TTL and address of the link's far end, where that is not the next router."""
CALLS = ("sip_alg", "voip_media")
ASKING_AGAIN = (*CALLS, "dns_lie", "dns_redirect", "header_tampering")


def evidence(technique: str) -> bytes:
    return gzip.decompress((FOLDER / f"{technique}.pcapng.gz").read_bytes())


def test_every_file_is_tested() -> None:
    assert {path.name.removesuffix(".pcapng.gz") for path in FOLDER.iterdir()} == RULES.keys()
    assert all(path.stat().st_size < 56_000 for path in FOLDER.iterdir())


@pytest.mark.parametrize("technique", RULES)
def test_the_verdict_stays(technique: str) -> None:
    again = replay(evidence(technique), technique)
    assert again.agrees
    assert again.judgement.verdict == "interfered"
    assert again.judgement.interference is not None
    assert again.judgement.interference.technique == technique
    rule, clean = RULES[technique]
    assert again.judgement.rule == again.log.rule == rule
    place = again.judgement.interference.location
    assert place is not None
    first, address = FIRST.get(technique, (clean + 1, f"198.18.30.{clean + 1}"))
    assert (place.clean_ttl, place.first_ttl) == (clean, first)
    assert place.first_hop is not None
    assert place.first_hop.address == address


@pytest.mark.parametrize("technique", ASKING_AGAIN)
def test_the_verdict_of_rules_that_ask_again_comes_from_the_packets_and_not_from_the_log(technique: str) -> None:
    records, log = unseal(evidence(technique))
    assert replay(seal(records, log)[1]).agrees
    # Whoever got no answer asks again: without the answers, the recorded steps are not what the rules ask for.
    unanswered = [record for record in records if record.outgoing or record.ns < records[len(records) // 2].ns]
    with pytest.raises(ReplayMismatch):
        replay(seal(unanswered, log)[1])


@pytest.mark.parametrize("technique", [technique for technique in RULES if technique not in ASKING_AGAIN])
def test_the_verdict_comes_from_the_packets_and_not_from_the_log(technique: str) -> None:
    records, log = unseal(evidence(technique))
    # The far end is asked once more behind the last controls: whether the line has one public address.
    batch = log.batches[-3 if technique == "voip_stun" else -1]
    last = min(entry.began for entry in batch if not isinstance(entry.step, ListenStep))
    without_last_controls = [record for record in records if record.outgoing or record.ns < last]
    assert len(without_last_controls) < len(records)
    again = replay(seal(without_last_controls, log)[1])
    assert again.judgement.verdict == "inconclusive"
    assert again.judgement.rule.endswith("/control-failed")
    assert not again.agrees


def test_a_log_that_claims_otherwise_is_contradicted() -> None:
    records, log = unseal(evidence("block_page"))
    lying = seal(records, msgspec.structs.replace(log, verdict="clean", technique=""))[1]
    assert not replay(lying).agrees
