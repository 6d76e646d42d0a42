"""The public feed of several collectors is told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from probe.collector.clickhouse.feed import SharedFeed
from tests.collector.conftest import NOON

if TYPE_CHECKING:
    from tests.collector.conftest import Desk as EmbeddedDesk
    from tests.collector.conftest import FakeProbe


def test_only_who_settles_speaks_and_of_everybody_s(
    embedded: EmbeddedDesk, probes: Callable[..., FakeProbe]
) -> None:
    now, settles = [NOON], {"one": False, "two": True}
    one, two = (
        SharedFeed(embedded.reader, ["p-one"], lambda: now[0], lambda name=name: settles[name])  # type: ignore[misc]
        for name in settles
    )
    finding = probes().finding("interfered")
    embedded.give(finding)
    for feed in (one, two):
        feed.begin()
    one.touched([finding])  # it was this one's; the other tells it
    assert one.due() == []
    assert [post.topic.rpartition("/")[2] for post in two.due()] != []
    now[0] += 5000
    assert two.due() == [], "told once"
    settles.update(one=True, two=False)
    assert two.due() == []
    assert len(one.due()) == 1, "who takes over tells all of it anew"
