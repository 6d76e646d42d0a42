"""Who may be spoken of in public, and that nobody is named there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector import instants, public
from probe.collector.cells import Cell
from probe.collector.heartbeats import Silence
from probe.collector.incidents.model import Bounds, Exemption, Incident, Series
from probe.model import feed
from probe.model.finding import Access, Hop, Interference, Line, Location, Target

NOON = instants.from_text("2026-03-01T12:00:00.000Z")
ATLAS = Line("Atlas Telecom", 64501, "MA", "fixed")
ID = "0123456789abcdef"
FORGED = Interference("dns_injection", "on_path", Location(4, 5, Hop("198.18.4.1", 64501), Hop("198.18.5.1", 64502)))


def cell(access: Access = "fixed", **changes: Any) -> Cell:
    made = Cell(
        key=f"{access:x<16}", column="c", change=1, line=msgspec.structs.replace(ATLAS, access=access),
        measurement="dns_injection", target=Target("news.example", "news.example", "203.0.113.7", 53, "press"),
        verdict="interfered", interference=FORGED, finding_id="f", since=NOON - 61_001, last=NOON + 59_999, agree=2,
        probes=3, confidence=0.9,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def incident(**changes: Any) -> Incident:
    made = Incident(
        series=Series("MA", "AS64501", "mobile", "voip", "sip.example", "voip_stun"), state="open",
        began=Bounds(NOON - 3_600_123, NOON + 7), ended=None, homes=4, heard=5, dissent=("p-dissenter",), share=0.51239,
        hours=((1, 2),) * 24, intermittent=True, exemptions=(Exemption(1, NOON, 0, ("p-venue",)),),
        silent=((NOON, NOON + 90_000),), sure=0.37654,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def test_an_operator_with_one_probe_is_not_shown_unless_its_owner_agreed() -> None:
    alone = [(ATLAS, "p-one"), (msgspec.structs.replace(ATLAS, access="mobile"), "p-one")]
    assert public.shown(alone, ()) == frozenset()
    assert public.shown(alone, ["p-other"]) == frozenset()
    assert public.shown(alone, ["p-one"]) == {("MA", "AS64501")}


def test_two_probes_are_a_crowd_whatever_the_operator_is_called() -> None:
    other_name = Line("ATLAS", 64501, "MA", "mobile")
    assert public.shown([(ATLAS, "p-one"), (other_name, "p-two")], ()) == {("MA", "AS64501")}


def test_two_probes_of_one_home_are_no_crowd() -> None:
    crowd = [(ATLAS, "p-attic"), (ATLAS, "p-cellar")]
    assert public.shown(crowd, (), {"p-attic": "a", "p-cellar": "b"}) == {("MA", "AS64501")}
    for homes in ({"p-attic": "a", "p-cellar": "a"}, {"p-else": "a"}):
        assert public.shown(crowd, (), homes) == frozenset()
        assert public.shown(crowd, ["p-cellar"], homes) == {("MA", "AS64501")}


def test_an_operator_in_two_countries_is_two() -> None:
    abroad = msgspec.structs.replace(ATLAS, country="DZ")
    assert public.shown([(ATLAS, "p-one"), (abroad, "p-two")], ()) == frozenset()


PROBE = st.sampled_from("abcd")


@given(st.lists(st.tuples(st.sampled_from(["MA", "DZ"]), st.integers(0, 2), PROBE)), st.sets(PROBE))
def test_whatever_is_shown_has_two_probes_or_a_consent(rows: list[tuple[str, int, str]], consents: set[str]) -> None:
    operators = public.shown([(Line("x", asn, country), probe) for country, asn, probe in rows], consents)
    everyone = {(country, f"AS{asn}" if asn else "x") for country, asn, _ in rows}
    for one in everyone:
        who = {p for country, asn, p in rows if (country, f"AS{asn}" if asn else "x") == one}
        assert (one in operators) == (len(who) >= 2 or bool(who & consents))


def test_a_state_tells_each_measurement_to_the_minute_and_no_address() -> None:
    told = public.state([cell("mobile", verdict="clean", interference=None), cell()], NOON + 1234)
    assert [(v.access, v.verdict, v.technique, v.placement) for v in told.verdicts] == [
        ("fixed", "interfered", "dns_injection", "on_path"),
        ("mobile", "clean", None, "unknown"),
    ]
    assert (told.verdicts[0].since, told.verdicts[0].last) == ("2026-03-01T11:58:00.000Z", "2026-03-01T12:00:00.000Z")
    assert told.at == "2026-03-01T12:00:00.000Z"
    payload = msgspec.json.encode(told)
    assert b"198.18" not in payload
    assert b"203.0.113" not in payload
    assert len(payload) < 1024


def test_a_state_is_called_as_the_newest_cell_calls_it() -> None:
    renamed = cell("mobile", last=NOON * 2, line=Line("Atlas", 64501, "MA", "mobile"))
    assert public.state([renamed, cell()], NOON).operator == "Atlas"


def test_the_retained_message_leaves_by_itself_and_can_be_taken_away() -> None:
    post = public.state_post(public.state([cell()], NOON), "AS64501")
    assert post.topic == feed.public_state("MA", "AS64501", "news.example")
    assert (post.retain, post.expiry, post.schema) == (True, 86400, "colibri.public.state/1")
    gone = public.withdrawal(post.topic)
    assert (gone.topic, gone.payload, gone.retain) == (post.topic, b"", True)


def test_an_incident_is_told_in_numbers_of_homes() -> None:
    told = public.incident(ID, incident())
    assert (told.homes, told.heard, told.dissent, told.share, told.sure) == (4, 5, 1, 0.5124, 0.3765)
    assert told.began == feed.PublicBounds("2026-03-01T10:59:00.000Z", "2026-03-01T12:00:00.000Z")
    assert told.exemptions == [feed.PublicExemption(1, "2026-03-01T12:00:00.000Z", None)]
    assert told.silent == [feed.PublicSilence("2026-03-01T12:00:00.000Z", "2026-03-01T12:01:00.000Z")]
    assert b"p-" not in msgspec.json.encode(told)


def test_a_silence_is_told_with_what_is_proven_of_it() -> None:
    silent = ((NOON + 1234, NOON + 8 * instants.HOUR), (NOON + 9 * instants.HOUR, NOON + 20 * instants.HOUR))
    told = public.incident(ID, incident(silent=silent, counted="prefix"))
    assert told.counted == "prefix"
    proven = public.proven(told, [Silence(*silent[0], idle=1, cut_off=2, dead=4)])
    first, second = (public.minute(at) for at in silent[0])
    assert proven.silent[0] == feed.PublicSilence(first, second, idle=1, cut_off=2, dead=4)
    assert proven.silent[1] == told.silent[1], "of which nothing is known"
    assert msgspec.structs.replace(proven, silent=told.silent) == told


def test_nobody_measured_before_is_null() -> None:
    told = public.incident(ID, incident(state="closed", began=Bounds(0, NOON), ended=Bounds(NOON, 0)))
    assert told.began.after is None
    assert told.ended == feed.PublicBounds("2026-03-01T12:00:00.000Z", None)


def test_a_suspicion_is_never_public() -> None:
    suspected = incident(state="suspected")
    assert not public.tellable(suspected, {("MA", "AS64501")})
    with pytest.raises(ValueError, match=f"incident {ID} is only suspected"):
        public.incident(ID, suspected)


@pytest.mark.parametrize(
    ("heard", "operators", "may"),
    [(1, set(), False), (2, set(), True), (1, {("MA", "AS64501")}, True), (1, {("DZ", "AS64501")}, False)],
)
def test_an_incident_that_one_home_alone_could_see_is_told_of_shown_operators_only(
    heard: int, operators: set[public.Operator], may: bool
) -> None:
    assert public.tellable(incident(heard=heard), operators) is may


def test_the_events_of_an_incident() -> None:
    opened = public.incident(ID, incident())
    more = public.incident(ID, incident(homes=5))
    busier = public.incident(ID, incident(share=0.6, sure=0.5, hours=((2, 2),) * 24))
    closed = public.incident(ID, incident(state="closed", ended=Bounds(NOON, NOON + 1)))
    assert public.event_of(None, opened) == "opened"
    assert public.event_of(opened, opened) is None
    assert public.event_of(opened, busier) is None
    assert public.event_of(opened, more) == "updated"
    assert public.event_of(more, closed) == "closed"
    assert public.event_of(None, closed) == "closed"
    assert public.event_of(closed, closed) is None
    assert public.event_of(closed, opened) == "opened"  # a late delivery showed that it went on


def test_an_event_is_not_retained_and_says_what_happened() -> None:
    post = public.event_post("closed", public.incident(ID, incident()), NOON + 5)
    assert (post.topic, post.retain, post.expiry) == ("colibri/v1/public/incident/closed", False, 0)
    message = msgspec.json.decode(post.payload, type=feed.PublicEvent)
    assert (message.event, message.incident.id, message.at) == ("closed", ID, "2026-03-01T12:00:00.000Z")
