"""What is sent, in words and as data: the same facts, in three languages, and nobody's home among them."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.incidents.model import HOUR, Bounds
from probe.collector.languages.language import load
from probe.collector.notify.changes import Change, Kind, What
from probe.collector.notify.message import NEWS, TITLES, Notification, notifications, title
from tests.collector.notify.cases import NOW, SPARED, row, subscription

SITE = "https://monitor.example"
RICH: dict[str, Any] = {"intermittent": True, "exemptions": (SPARED,)}


def one(change: Change, **config: Any) -> Notification:
    return notifications(subscription(**config), [change], SITE, NOW)[0]


def test_an_opening_says_all_that_is_known() -> None:
    sent = one(Change("opened", row(**RICH)))
    assert sent.title == "Interference has begun: 196.20.66.10 on Algérie Télécom"
    assert sent.text.splitlines() == [
        "Target: 196.20.66.10",
        "Operator: Algérie Télécom · AS36947 · DZ · fixed line",
        "What is done: Packets swallowed",
        "Begin: between 1 Mar 2026, 10:00 UTC and 1 Mar 2026, 11:00 UTC",
        "Homes that saw it: 3 of 4 that measured",
        "Probes that never saw it: 1",
        "Comes and goes; share of the tests that failed: 97%",
        "Homes for which it worked meanwhile: 2",
        "Share of the homes that saw it, at the least (95 % interval): 60%",
        "Details: https://monitor.example/en/incident/00000000000000aa",
    ]


def test_an_end_says_between_which_results() -> None:
    assert (
        "End: between 1 Mar 2026, 11:40 UTC and 1 Mar 2026, 11:50 UTC" in one(Change("closed", row(closed=True))).text
    )
    silent = row(closed=True, ended=Bounds(NOW - HOUR, 0), began=Bounds(0, NOW - 2 * HOUR))
    text = one(Change("closed", silent)).text
    assert "End: after 1 Mar 2026, 11:00 UTC" in text
    assert "Begin: before 1 Mar 2026, 10:00 UTC" in text


def test_an_update_says_what_is_new() -> None:
    sent = one(Change("updated", row(), row().id, ("homes", "exempted")))
    assert sent.text.startswith(f"What is new: {NEWS['homes']}, {NEWS['exempted']}\n")
    over = one(Change("updated", row(closed=True), row().id, ("ended",)))
    assert over.title.startswith("Interference that has ended, something is new: ")


def test_the_data_is_typed_dated_and_whole() -> None:
    sent = one(Change("updated", row(**RICH), "00000000000000bb", ("homes",)))
    assert msgspec.json.decode(msgspec.json.encode(sent), type=Notification) == sent
    (event,) = msgspec.to_builtins(sent)["events"]
    assert event["began"] == {"after": "2026-03-01T10:00:00.000Z", "until": "2026-03-01T11:00:00.000Z"}
    assert event["ended"] is None
    assert (event["kind"], event["incident"], event["before"]) == ("updated", row().id, "00000000000000bb")
    assert (event["homes"], event["heard"], event["dissenting"]) == (3, 4, 1)
    assert event["exemptions"] == ({"homes": 2, "since": "2026-03-01T11:00:00.000Z", "until": None},)
    assert (event["operator"], event["name"]) == ("AS36947", "Algérie Télécom")


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
def test_no_probe_is_named(language: str) -> None:
    sent = msgspec.json.encode(one(Change("opened", row(**RICH)), language=language)).decode()
    assert not re.search(r"p-(four|five|six)", sent)


def test_without_a_site_there_is_no_link_and_what_was_withdrawn_has_no_page() -> None:
    (plain,) = notifications(subscription(), [Change("opened", row())], "", NOW)
    assert "http" not in plain.text
    assert one(Change("withdrawn", row(), row().id)).events[0].link == ""


def test_more_than_the_subscription_likes_are_one_message() -> None:
    changes = [Change("opened", row(name, target=f"{name}.example")) for name in "abc"]
    assert len(notifications(subscription(digest=3), changes, SITE, NOW)) == 3
    (digest,) = notifications(subscription(digest=2), changes, SITE, NOW)
    assert digest.title == "3 changes of incidents"
    assert [event.incident for event in digest.events] == ["a", "b", "c"]
    blocks = digest.text.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [title(load("en"), change) for change in changes]


def test_a_message_has_one_name_however_often_it_is_made_and_another_has_another() -> None:
    change = Change("opened", row())
    assert one(change).id == one(change).id
    others = {
        one(Change("closed", row(closed=True))).id,
        one(change, name="other").id,
        one(Change("opened", row(homes=9))).id,
    }
    assert len({one(change).id, *others}) == 4


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_every_word_is_there_in_every_language(language: Any) -> None:
    say, english = load(language), load("en")
    for message in (*TITLES.values(), *NEWS.values()):
        assert say.text(message) != english.text(message), message
    rich = Change("updated", row(closed=True, **RICH), row().id, get_args(What))
    there, here = one(rich, language=language).text.splitlines(), one(rich).text.splitlines()
    assert len(there) == len(here)
    assert [line for line in there if line in here] == [], "not one line in English"
    for kind in get_args(Kind):
        assert one(Change(kind, row(), row().id), language=language).title != one(Change(kind, row(), row().id)).title


def test_in_arabic_addresses_and_dates_are_isolated() -> None:
    sent = one(Change("opened", row()), language="ar")
    assert "\u2068196.20.66.10\u2069" in sent.title
    assert re.search("\u2068[^\u2069]*UTC\u2069", sent.text)


@given(st.text(min_size=1, max_size=300))
def test_a_name_stays_one_short_line_whatever_is_in_it(name: str) -> None:
    sent = one(Change("opened", row(target=name, operator=name)))
    assert sent.title.isprintable()
    assert len(sent.title) < 300
    assert len(sent.text.splitlines()) == 8
