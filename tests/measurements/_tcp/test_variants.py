from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from probe.measurements._tcp.probe import Plan, ask
from probe.measurements._tcp.triggers import Kind, Trigger
from probe.measurements._tcp.variants import Variant, applicable, reason, variants
from probe.model.exchange import Step, TcpStep
from probe.wire import http, tls
from tests.measurements.simboxes import Dropper, Pager, Resetter
from tests.measurements.simhosts import Web
from tests.measurements.simnet import Box, Internet, drive
from tests.measurements.worlds import BANNED, KNOWN, SERVER, net


def plan(kind: Kind) -> Plan:
    port = 80 if kind == "http" else 443
    return Plan(Trigger(kind, "banned.example", port), SERVER, "good.example", "", 3, locate=False)


def run(kind: Kind, *boxes: Box, web: Web | None = None) -> tuple[dict[str, Variant], list[TcpStep]]:
    inside, asked = Internet(net(web, boxes=boxes), 1), plan(kind)
    batches: list[list[Step]] = []
    seen = drive(ask(asked, Random(1)), inside)
    found = drive(variants(asked, seen, Random(2)), inside, batches)
    steps = [step for batch in batches for step in batch if isinstance(step, TcpStep)]
    return {variant.form: variant for variant in found}, steps


@dataclass(frozen=True, kw_only=True)
class Exact(Resetter):
    """Looks for the very bytes of the usual request line, in one segment."""

    def act(self, passing: Any) -> bool:
        data = passing.packet.payload
        if data and b"Host: banned.example" not in data and b"\x00banned.example" not in data[:600]:
            return False
        return super().act(passing)


def test_a_filter_that_reads_properly_catches_more_than_one_that_compares_bytes() -> None:
    proper, _ = run("http", Resetter(at=4, names=(*BANNED, "bAnNeD.ExAmPlE"), reassembles=True))
    assert {form for form, v in proper.items() if v.blocked == 3} >= {
        "mixed case", "header word in mixed case", "cut in two segments", "behind 1400 bytes",
    }  # fmt: skip
    assert proper["in the path alone"].blocked == 0
    exact, _ = run("http", Exact(at=4, names=BANNED))
    assert {form for form, v in exact.items() if v.tells and not v.blocked} >= {
        "mixed case", "header word in mixed case", "cut in two segments",
    }  # fmt: skip


def test_the_same_for_tls() -> None:
    proper, _ = run("tls", Resetter(at=4, names=BANNED, reassembles=True))
    assert proper["cut in two segments"].blocked == 3
    assert proper["cut in two records"].blocked == 3
    assert proper["behind 1400 bytes"].blocked == 3
    assert proper["mixed case"].blocked == 0
    plain, _ = run("tls", Resetter(at=4, names=BANNED))
    assert plain["cut in two segments"].blocked == 0
    assert all(v.tells for v in plain.values())


@pytest.mark.parametrize("box", [Dropper(at=4, names=BANNED), Pager(at=4, names=BANNED, in_path=True)])
def test_drops_and_pages_count_as_blocked(box: Box) -> None:
    found, _ = run("http", box)
    assert found["header word in mixed case"].blocked == 3
    assert found["in the path alone"].blocked == 0


def test_what_the_server_takes_amiss_tells_nothing() -> None:
    found, _ = run("http", Resetter(at=4, names=BANNED), web=Web(names=KNOWN, unknown="reset"))
    assert not found["in the path alone"].tells  # nobody serves "localhost"
    assert found["header word in mixed case"].tells


def test_a_handful_of_connections_with_the_measured_name_alone() -> None:
    for kind in ("http", "tls"):
        _, steps = run(kind, Resetter(at=4, names=BANNED))
        assert len(steps) <= 60
        named = {(http.host(s.payload) or tls.server_name(s.payload) or "").lower() for s in steps}
        assert named <= {"banned.example", "good.example", "localhost"}


def test_residual_blocking_does_not_spoil_it() -> None:
    found, _ = run("http", Dropper(at=4, names=BANNED, residual=3, size=3))
    assert found["in the path alone"] == Variant("in the path alone", 0, 3, 3)
    assert found["header word in mixed case"].blocked == 3


def test_a_box_that_blocks_for_long_is_left_alone() -> None:
    found, steps = run("http", Dropper(at=4, names=BANNED, residual=40, size=3))
    assert not found
    assert not steps
    assert "not tried" in reason([])


def test_only_forms_that_differ_are_tried() -> None:
    assert "mixed case" in applicable(Trigger("http", "a.example", 80), Random(1))
    numbers = applicable(Trigger("http", "192.0.2.1", 80), Random(1))
    assert "mixed case" not in numbers
    assert "cut in two segments" in numbers


def test_words() -> None:
    found = [Variant("mixed case", 3, 3, 3), Variant("blanks", 0, 3, 3), Variant("port", 3, 3, 0)]
    found.append(Variant("cut", 1, 3, 3))
    assert reason(found) == (
        "The filter also catches the name in these forms: mixed case; it lets pass: blanks; "
        "now and then it catches: cut."
    )
    assert reason([Variant("blanks", 0, 3, 3)]) == "It lets pass: blanks."
    assert "can't be told" in reason([Variant("port", 3, 3, 0)])
