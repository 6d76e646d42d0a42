"""Hops and DNS answers as RIPE Atlas writes them."""

from __future__ import annotations

import base64
from collections import Counter

import pytest

from probe.export import atlas_parts
from probe.export.details import Hop, Shown
from probe.export.lookups import Lookup
from probe.wire import dns

SILENT = [{"x": "*"}]


def test_the_family_of_an_address() -> None:
    assert (atlas_parts.family("192.0.2.1"), atlas_parts.family("2001:db8::1")) == (4, 6)


def test_a_path_with_the_home_and_a_silent_router() -> None:
    path = [Shown(1), Shown(2, "198.51.100.2"), Shown(4, "198.51.100.4")]
    assert atlas_parts.shown(path, "192.0.2.1", None, 21.5) == [
        {"hop": 1, "result": SILENT}, {"hop": 2, "result": [{"from": "198.51.100.2"}]}, {"hop": 3, "result": SILENT},
        {"hop": 4, "result": [{"from": "198.51.100.4"}]},
    ]  # fmt: skip


@pytest.mark.parametrize(("rtt", "last"), [(21.5, {"rtt": 21.5}), (None, {})])
def test_a_path_that_arrives(rtt: float | None, last: dict[str, float]) -> None:
    assert atlas_parts.shown([Shown(2, "198.51.100.2")], "192.0.2.1", 3, rtt) == [
        {"hop": 1, "result": SILENT}, {"hop": 2, "result": [{"from": "198.51.100.2"}]},
        {"hop": 3, "result": [{"from": "192.0.2.1", **last}]},
    ]  # fmt: skip


def test_routers_that_show_themselves_beyond_the_end_are_not_hidden() -> None:
    path = [Shown(2, "198.51.100.2"), Shown(3, "198.51.100.3")]
    assert [hop["result"][0].get("from") for hop in atlas_parts.shown(path, "192.0.2.1", 2, 1.0)] == [
        None, "198.51.100.2", "198.51.100.3"
    ]  # fmt: skip
    assert atlas_parts.shown([], "192.0.2.1", None, None) == []


def test_a_plain_path() -> None:
    path = [
        Hop(1, {}, 0.5), Hop(2, {"198.51.100.2": 3}, 5.5), Hop(3, {"198.51.100.3": 1, "198.51.100.4": 2}, 6.5),
        Hop(4, {"198.51.100.5": 10**9}, None),
    ]  # fmt: skip
    hops = atlas_parts.traced(path)
    assert hops[:3] == [
        {"hop": 1, "result": SILENT},
        {"hop": 2, "result": [{"from": "198.51.100.2", "rtt": 5.5}, *[{"from": "198.51.100.2"}] * 2]},
        {"hop": 3, "result": [{"from": "198.51.100.3"}, *[{"from": "198.51.100.4"}] * 2]},
    ]
    assert len(hops[3]["result"]) == 20


def test_answers_side_by_side_and_a_query_that_got_none() -> None:
    lost: Counter[str] = Counter()
    records = ((5, "www.site.example"), (1, "192.0.2.7"), (16, "text"))
    made = [Lookup("198.51.100.53", "site.example", 0, records, 1.5, 60), Lookup("2001:db8::53", "site.example")]
    first, second = atlas_parts.resultset(made, 1767323045, -1, lost)
    answer = first.pop("result")
    assert first == {
        "subid": 1, "submax": 2, "af": 4, "proto": "UDP", "dst_addr": "198.51.100.53", "src_addr": "", "lts": -1,
        "time": 1767323045,
    }  # fmt: skip
    assert second == {
        "subid": 2, "submax": 2, "af": 6, "proto": "UDP", "dst_addr": "2001:db8::53", "src_addr": "", "lts": -1,
        "time": 1767323045, "error": {"timeout": 2000},
    }  # fmt: skip
    buffer = base64.b64decode(answer.pop("abuf"))
    assert answer == {
        "rt": 1.5, "size": len(buffer), "ID": 0, "QDCOUNT": 1, "ANCOUNT": 3, "NSCOUNT": 0, "ARCOUNT": 0
    }  # fmt: skip
    message = dns.decode(buffer)
    assert (message.response, message.rcode, message.truncated) == (True, 0, False)
    assert message.questions == (dns.Question("site.example", dns.A),)
    assert [(one.name, one.type, one.text, one.ttl) for one in message.answers] == [
        ("site.example", kind, text, 60) for kind, text in records
    ]
    assert lost == {}


def test_a_cut_denial_over_ipv6() -> None:
    cut = Lookup("192.0.2.53", "x.example", 3, truncated=True)
    six = Lookup("192.0.2.53", "x.example", 0, ((28, "2001:db8::1"),))
    entries = atlas_parts.resultset([cut, six], 0, 0, Counter())
    denial, answer = (dns.decode(base64.b64decode(one["result"]["abuf"])) for one in entries)
    assert (denial.rcode, denial.truncated, denial.answers) == (3, True, ())
    assert answer.questions == (dns.Question("x.example", dns.AAAA),)


def test_what_can_t_be_made_bytes_again_is_counted() -> None:
    lost: Counter[str] = Counter()
    records = ((1, "no address"), (1, "192.0.2.7"), (65, "xyz"))
    (entry,) = atlas_parts.resultset([Lookup("192.0.2.53", "x.example", 0, records)], 0, 0, lost)
    assert entry["result"]["ANCOUNT"] == 1
    assert atlas_parts.resultset([Lookup("192.0.2.53", "x" * 64 + ".example", 0)], 0, 0, lost) == []
    assert lost == {
        "DNS record of type 1: its text can't be made bytes again": 1,
        "DNS record of type 65: its text can't be made bytes again": 1,
        f"answers about a name that DNS has no form for: {'x' * 64 + '.example'!r}": 1,
    }
