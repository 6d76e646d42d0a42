"""Captures that others took.

Those in `captures` were made in the lab with dumpcap and plain sockets: queries and requests for a forbidden name
between harmless ones (scenarios dns-fixed-agg and reset-agg, operator sale), and the same queries on an honest line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.thirdparty import judge
from probe.model.errors import MalformedRecord
from probe.wire import pcapng

FOLDER = Path(__file__).with_name("captures")
RULES = {
    "dns-race.pcap": ["dns_injection/captured-two-answers-on-one-flow"],
    "dns-sweep.pcap": ["dns_injection/captured-answer-below-resolver", "ttl_path/captured-arrives"],
    "resets.pcapng": ["tcp_reset/captured-reset-from-nearer"],
    "honest.pcap": ["capture/nothing-to-judge"],
}


def test_every_file_is_tested() -> None:
    assert {path.name for path in FOLDER.iterdir()} == RULES.keys()


@pytest.mark.parametrize("name", RULES)
def test_what_each_shows(name: str) -> None:
    found = judge((FOLDER / name).read_bytes(), name)
    assert [one.rule for one in found] == RULES[name]
    assert found[0].verdict == ("inconclusive" if name == "honest.pcap" else "interfered")


def test_the_link_is_the_true_one() -> None:
    place = judge((FOLDER / "dns-sweep.pcap").read_bytes(), "x")[0].interference
    assert place is not None
    assert place.location is not None
    assert (place.location.clean_ttl, place.location.first_ttl) == (2, 3)
    assert place.location.first_hop is not None
    assert place.location.first_hop.address == "198.18.30.3"


@pytest.mark.parametrize("name", ["dns-race.pcap", "resets.pcapng"])
def test_without_its_controls_it_accuses_nobody(name: str) -> None:
    packets = pcapng.read((FOLDER / name).read_bytes()).packets
    for without in (b"control.example", b"\x07control\x07example"):
        packets = tuple(one for one in packets if without not in one[2])
    found = judge(pcapng.write([(ns, False, data) for ns, _, data in packets]), name)
    assert found[0].verdict == "inconclusive"
    assert found[0].rule.endswith("/captured-no-control")


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xd4\xc3\xb2\xa1", pcapng.write([])])
def test_what_is_no_capture_is_an_error_that_names_the_file(data: bytes) -> None:
    with pytest.raises(MalformedRecord, match=r"mine\.pcap"):
        judge(data, "mine.pcap")


@given(st.data())
def test_noise_is_judged_or_refused_and_never_accuses(data: st.DataObject) -> None:
    whole = (FOLDER / data.draw(st.sampled_from(sorted(RULES)))).read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.booleans())
    noise = data.draw(st.binary(max_size=40))
    try:
        found = judge(whole[:at] + noise + (b"" if cut else whole[at + len(noise) :]), "noise")
    except MalformedRecord:
        return
    assert found


@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=20))
def test_packets_of_noise_accuse_nobody(packets: list[bytes]) -> None:
    try:
        found = judge(pcapng.write([(i, False, data) for i, data in enumerate(packets)]), "noise")
    except MalformedRecord:
        return
    assert all(one.verdict != "interfered" for one in found)
