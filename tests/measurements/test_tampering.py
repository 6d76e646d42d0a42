"""`tampering` on simulated networks: whoever changes requests or certificates, and whom it must never accuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.measurements._certificate import fingerprint
from probe.measurements.tampering import host
from probe.model.errors import UsageError
from probe.model.finding import Judgement
from tests.measurements.simboxes import Resetter
from tests.measurements.simfar import FAR, SETTINGS, Far
from tests.measurements.simmeddlers import MITM, Gateway, Inline, proxied
from tests.measurements.simnet import Network, measure
from tests.measurements.worlds import claimed, link

NAME = "banned.example"
OURS = msgspec.structs.replace(SETTINGS, certificate=fingerprint(b"leaf"))
PAGE = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nblocked"


def world(*boxes: Any, far: Far | None = None, **what: Any) -> Network:
    version = what.get("version", 4)
    return Network(hosts={FAR[version]: far or Far(settings=OURS)}, boxes=boxes, **what)


def ask(network: Network, seed: int = 1, **options: object) -> Judgement:
    given: dict[str, object] = {
        "target": NAME, "reflector": FAR[network.version], "control_name": "good.example",
    }  # fmt: skip
    return measure("tampering", network, seed, **(given | options))


GUILTY: dict[str, tuple[Any, str, str]] = {
    "a proxy that adds its name": (Gateway(at=4, request=proxied), "header_tampering", "request-rewritten"),
    "a proxy that changes answers": (
        Gateway(at=4, answer=lambda a: a.replace(b"Connection: close", b"X-Cache: HIT\r\nConnection: close")),
        "header_tampering", "request-rewritten",
    ),
    "a box that tidies headers in passing": (Inline(at=4), "header_tampering", "request-rewritten"),
    "… for one name": (Inline(at=5, names=(NAME,)), "header_tampering", "request-rewritten"),
    "a page for one name": (Gateway(at=5, names=(NAME,), page=PAGE), "block_page", "page-replaced"),
    "… by a box that does not open connections": (
        Gateway(at=3, opens=False, names=(NAME,), page=PAGE), "block_page", "page-replaced",
    ),
    "a page for every name": (Gateway(at=4, page=PAGE), "header_tampering", "all-pages-replaced"),
    "TLS ended for every name": (
        Gateway(at=4, ports=(443,), shows=MITM), "tls_interception", "certificate-replaced",
    ),
    "TLS ended for one name": (
        Gateway(at=3, ports=(443,), names=(NAME,), shows=MITM), "tls_interception", "certificate-replaced",
    ),
    "TLS ended by a box that does not open connections": (
        Gateway(at=6, ports=(443,), opens=False, names=(NAME,), shows=MITM), "tls_interception", "certificate-replaced",
    ),
}  # fmt: skip
LINES: dict[str, dict[str, Any]] = {
    "good": {}, "bad": {"loss": 0.02, "jitter": 0.01, "reorder": 0.05}, "v6": {"version": 6},
    "silent": {"silent": frozenset({3, 4})},
}  # fmt: skip


@pytest.mark.parametrize(("box", "technique", "rule"), GUILTY.values(), ids=GUILTY.keys())
@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_whoever_changes_things_on_the_way_is_found(box: Any, technique: str, rule: str, line: dict[str, Any]) -> None:
    for seed in range(3):
        judgement = ask(world(box, **line), seed)
        assert claimed(judgement) == ("interfered", rule), judgement.reasons
        assert judgement.interference is not None
        assert judgement.interference.technique == technique
        place = link(judgement)
        assert place is not None
        assert place[0] < box.at <= place[1]
        assert 0.5 < judgement.confidence < 1


def test_a_slow_box_is_waited_for() -> None:
    judgement = ask(world(Gateway(at=4, ports=(443,), shows=MITM, delay=1.4)))
    assert claimed(judgement) == ("interfered", "certificate-replaced")
    assert link(judgement) == (3, 4)


def test_who_issued_the_certificate_is_told() -> None:
    judgement = ask(world(Gateway(at=4, ports=(443,), shows=MITM)))
    assert any("Operator Secure Gateway" in reason for reason in judgement.reasons)


OWN_PROXY = Far(settings=msgspec.structs.replace(OURS, certificate="11" * 32))
INNOCENT: dict[str, tuple[Network, str]] = {
    "nobody": (world(), "clean"),
    "a virus scanner in the home router": (world(Gateway(at=1, ports=(443,), shows=MITM)), "tls-changed-at-home"),
    "… that looks at what it forwards": (
        world(Gateway(at=2, ports=(443,), opens=False, shows=MITM, late=True, ttl=65)), "tls-changed-at-home",
    ),
    "parental control in the home router": (world(Gateway(at=1, names=(NAME,), page=PAGE)), "http-changed-at-home"),
    "a second home router that shows itself": (
        world(Gateway(at=2, page=PAGE), home=2), "http-changed-at-home",
    ),
    "a second home router that does not": (
        world(Gateway(at=2, page=PAGE), silent=frozenset({2})), "http-changed-at-home",
    ),
    "the home router tidies headers in passing": (world(Inline(at=2)), "http-changed-at-home"),
    "the far end's own proxy": (world(Gateway(at=9, request=proxied)), "http-changed-somewhere"),
    "… right before it": (world(Gateway(at=8, ports=(443,), shows=MITM)), "tls-changed-somewhere"),
    "the far end is not what it says": (world(far=OWN_PROXY), "tls-never-untouched"),
    "a proxy that changes nothing": (world(Gateway(at=4)), "clean"),
    "a proxy on all ports": (world(Gateway(at=4, ports=(80, 20_001), request=proxied)), "http-never-untouched"),
    "now and then": (world(Gateway(at=4, request=proxied, share=0.5)), "http-touched-at-times"),
    "the far end is gone": (world(far=Far(settings=OURS, mute=True)), "no-far-end"),
    "the name is reset": (world(Resetter(at=4, names=(NAME,), in_path=True)), "http-no-answer"),
    "IPv6 is broken": (world(version=6, loss=1.0, lossy_link=1), "no-far-end"),
    "the far end serves no web ports": (
        world(far=Far(settings=msgspec.structs.replace(OURS, tcp=(47474,)))), "no-ports",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("network", "rule"), INNOCENT.values(), ids=INNOCENT.keys())
def test_nobody_innocent_is_accused(network: Network, rule: str) -> None:
    said = set()
    for seed in range(5):
        judgement = ask(network, seed)
        assert judgement.verdict != "interfered", judgement.reasons
        said.add(claimed(judgement)[1])
    assert rule in said


def test_targets() -> None:
    assert host("https://Press.example:8443/a", "good.example") == "press.example"
    assert host("press.example.", "good.example") == "press.example"
    assert host("203.0.113.10", "good.example") == "good.example"
    assert host("https://[2001:db8::1]/", "good.example") == "good.example"
    for wrong in ("", "two words", "a/b", "http://"):
        with pytest.raises(UsageError):
            host(wrong, "good.example")


def test_it_says_what_it_lacks() -> None:
    with pytest.raises(UsageError, match="--reflector"):
        measure("tampering", world(), 1, target=NAME)
