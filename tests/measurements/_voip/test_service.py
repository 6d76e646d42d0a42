"""Services by name: endpoints as text, names resolved, what counts as an answer."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements import load, parse_options
from probe.measurements._voip.service import TRIES, Endpoint, answers, ask, endpoint, resolve
from probe.model.config import TargetList
from probe.model.errors import UsageError
from probe.model.exchange import Exchange, Heard, UdpStep
from probe.model.packet import Packet, Udp
from probe.wire import stun
from tests.measurements.simhosts import Resolver, Web
from tests.measurements.simnet import Internet, Network, drive
from tests.measurements.worlds import RESOLVER, SERVER


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stun:198.51.100.7", Endpoint("stun", "", "198.51.100.7", 3478)),
        ("udp:198.51.100.7:599", Endpoint("udp", "", "198.51.100.7", 599)),
        ("tls:chat.example", Endpoint("tls", "chat.example", "", 443)),
        ("tls:chat.example:5222", Endpoint("tls", "chat.example", "", 5222)),
        ("tls:chat.example@198.51.100.7", Endpoint("tls", "chat.example", "198.51.100.7", 443)),
        ("turn:[2001:DB8::1]:443", Endpoint("turn", "", "2001:db8::1", 443)),
        ("tls:chat.example@[2001:db8::1]:443", Endpoint("tls", "chat.example", "2001:db8::1", 443)),
        ("sip:198.51.100.7", Endpoint("sip", "", "198.51.100.7", 5060)),
    ],
)
def test_endpoints(text: str, found: Endpoint) -> None:
    assert endpoint(text) == found
    if found.address:
        assert endpoint(str(found)) == found


@pytest.mark.parametrize(
    "text", ["", "stun", "stun:", "ftp:198.51.100.7", "stun:198.51.100.7:0", "stun:198.51.100.7:x", "tls:a@b",
             "tls:a@[2001:db8::1", "stun::99999"],
)  # fmt: skip
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(UsageError, match="is no endpoint"):
        endpoint(text)


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_or_a_wrong_word(text: str) -> None:
    try:
        found = endpoint(text)
    except UsageError:
        return
    assert 0 < found.port < 65536


def test_names_are_resolved_and_other_families_left_out() -> None:
    network = Network(hosts={RESOLVER: Resolver()})
    wanted = [endpoint("tls:chat.example"), endpoint("stun:198.51.100.7"), endpoint("stun:[2001:db8::1]")]
    found = drive(resolve(wanted, RESOLVER, False, Random(1)), Internet(network, 1))
    assert [str(one) for one in found] == ["tls:chat.example@203.0.113.7:443", "stun:198.51.100.7:3478"]


def test_a_name_needs_a_resolver() -> None:
    with pytest.raises(UsageError, match=r"chat\.example needs an address"):
        drive(resolve([endpoint("tls:chat.example")], "", False, Random(1)), Internet(Network(), 1))


def test_each_endpoint_is_asked_several_times() -> None:
    net = Internet(Network(hosts={SERVER: Web(names=("chat.example",))}), 1)
    ends = [("chat", endpoint(f"tls:chat.example@{SERVER}")), ("calls", endpoint(f"stun:{SERVER}")),
            ("chat", endpoint(f"tcp:{SERVER}:443")), ("chat", endpoint("tcp:203.0.113.99:443"))]  # fmt: skip
    asked = drive(ask([("chat" if side == "chat" else "calls", one) for side, one in ends], Random(1), False), net)
    assert [(one.made, one.answered) for one in asked] == [(TRIES, TRIES), (TRIES, 0), (TRIES, TRIES), (TRIES, 0)]


def heard(payload: bytes) -> Exchange:
    step = UdpStep(address=SERVER, port=3478, payload=b"")
    packet = Packet(4, SERVER, "0.0.0.0", 60, 17, 28, header=Udp(3478, 9, 8 + len(payload)), payload=payload)
    return Exchange(step=step, heard=(Heard(0.1, False, packet),), sent_at=0.0)


def test_an_answer_repeats_the_transaction_except_where_nothing_is_known_of_it() -> None:
    request = stun.binding_request(b"abcdefghijkl")
    right = stun.binding_response(b"abcdefghijkl", "192.0.2.1", 9)
    wrong = stun.binding_response(b"mnopqrstuvwx", "192.0.2.1", 9)
    end = endpoint(f"stun:{SERVER}")
    assert answers(end, request, heard(right))
    assert not answers(end, request, heard(wrong))
    assert not answers(end, request, heard(b"noise"))
    assert answers(endpoint(f"udp:{SERVER}"), request, heard(b"noise"))
    assert not answers(endpoint(f"sip:{SERVER}"), request, heard(b"noise"))


def test_the_shipped_list_is_dated_and_can_be_measured() -> None:
    path = Path(__file__).parents[3] / "deploy/lists/calls.toml"
    shipped = msgspec.convert(tomli.loads(path.read_text()), TargetList)
    assert shipped.dated
    for entry in shipped.targets:
        assert (entry.group, entry.measurements) == ("voip", ["voip"])
        ends = [endpoint(text) for key in ("chat", "relays") for text in list(entry.options.get(key, []))]  # type: ignore[arg-type]
        assert ends, entry.target
        assert parse_options(load("voip"), {"target": entry.target, **entry.options}).target == entry.target
