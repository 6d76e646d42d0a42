"""DNS questions and answers, out of the details of both measurements that ask."""

from __future__ import annotations

from probe.export import lookups
from probe.export.details import Injection, Resolver, read
from probe.export.lookups import Lookup
from tests.export.conftest import golden, made

FORGED, REAL = ((1, "198.18.0.99"),), ((1, "203.0.113.10"),)


def test_an_injection_s_trials() -> None:
    finding = golden("dns_injection")
    seen = read(finding)
    assert isinstance(seen, Injection)
    trials = lookups.trials(finding, seen)
    assert [[one.records for one in trial] for trial in trials] == [[FORGED, REAL]] * 3
    assert trials[0][0] == Lookup("203.0.113.153", "press.example", 0, FORGED, seen.resolver_trials[0][0].after_ms)
    silent = lookups.trials(finding, seen, silent=True)
    assert [[(one.resolver, one.records) for one in trial] for trial in silent] == [[("203.0.113.200", FORGED)]] * 3
    assert lookups.replies(finding, seen) == [one for trial in (*trials, *silent) for one in trial]
    assert [one.records for one in lookups.genuine(finding, seen)] == [REAL] * 3


def test_silence_is_a_lookup_that_got_nothing_and_odd_types_are_left_out() -> None:
    said = ["5 www.site.example", "28 2001:db8::1", "x y", "²", "9" * 5000 + " z"]
    reply = {"after_ms": 1, "ttl": 56, "answers": said}
    cut = {"after_ms": 1, "ttl": 56, "truncated": True, "rcode": 2}
    own = {"resolver": "192.0.2.1", "silent": "", "resolver_trials": [[], [reply], [cut]], "silent_trials": [],
           "control_ttls": [56]}  # fmt: skip
    finding = made("dns_injection", own)
    seen = read(finding)
    assert isinstance(seen, Injection)
    (nothing,), (one,), (two,) = lookups.trials(finding, seen)
    assert nothing == Lookup("192.0.2.1", "site.example")
    assert nothing.rcode is None
    assert one.records == ((5, "www.site.example"), (28, "2001:db8::1"))
    assert one.addresses == {"2001:db8::1"}
    assert (two.rcode, two.truncated) == (2, True)
    assert lookups.genuine(finding, seen) == [one]


def test_nothing_is_genuine_where_the_resolver_s_distance_is_not_known() -> None:
    reply = {"after_ms": 1, "ttl": 56, "answers": ["1 192.0.2.7"]}
    own = {"resolver": "192.0.2.1", "silent": "", "resolver_trials": [[reply]], "silent_trials": []}
    finding = made("dns_injection", own)
    seen = read(finding)
    assert isinstance(seen, Injection)
    assert lookups.genuine(finding, seen) == []


def test_a_resolver_s_answers() -> None:
    finding = golden("dns_lie")
    seen = read(finding)
    assert isinstance(seen, Resolver)
    line, control, silent = (lookups.asked(finding, seen, who) for who in ("resolver", "control", "silent"))
    assert {(one.resolver, one.rcode, one.records, one.lifetime) for one in line} == {("198.18.30.53", 3, (), None)}
    assert {(one.resolver, one.rcode, one.records, one.lifetime) for one in control} == {("203.0.113.153", 0, REAL, 60)}
    assert silent == [Lookup("203.0.113.200", "press.example")] * 3


def test_the_name_is_the_input_where_there_is_no_other() -> None:
    assert lookups.name_of(made("voip", {}, name="", input="192.0.2.1")) == "192.0.2.1"
