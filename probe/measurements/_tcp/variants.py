"""What a filter matches on: the same name in other spellings, cut or padded. Asked after the verdict; changes none.

Every form is also sent with the harmless name: where the server takes that amiss, nothing is said about the form.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from probe.measurements import Part
from probe.measurements._tcp.probe import Plan, recover
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import Kind, Reaction, Trigger, react
from probe.model.exchange import PauseStep, Step, TcpStep
from probe.wire import tls

TRIALS = 3
_LONGEST = 10.0  # seconds of blocking after each trigger that are worth waiting for
_SPACING = 1.0  # seconds between two rounds
_PADDING = 1400  # bytes: more than a segment holds
_PADDING_EXTENSION = 21  # RFC 7685
_OTHER_PORTS: dict[Kind, int] = {"http": 8080, "tls": 8443}

Change = Callable[[bytes, bytes], tuple[bytes, tuple[int, ...]]]
"""(payload, name in it) → (payload, cuts)."""


class Variant(msgspec.Struct, frozen=True):
    """How often a form of the trigger was blocked; ``served``: its twins that the server answered, of as many."""

    form: str
    blocked: int
    made: int
    served: int

    @property
    def tells(self) -> bool:
        """Whether anything can be said: the harmless twins all went through."""
        return self.served == self.made > 0


def variants(plan: Plan, seen: Seen, random: Random) -> Part[list[Variant]]:
    """Each form of the trigger three times, and its twin; none where the box blocks for long after each."""
    if max(seen.residual, default=0.0) > _LONGEST:
        return []
    forms = applicable(plan.trigger, random)
    counts = {form: [0, 0, 0] for form in forms}
    for number in range(TRIALS):
        if number:
            yield [PauseStep(seconds=_SPACING)]
        # Side by side, unless a trigger shuts out what comes behind it.
        groups = [[form] for form in forms] if seen.residual else [list(forms)]
        for group in groups:
            exchanges = yield [_step(plan, seen, random, form, None) for form in group]
            reactions = [react(e) for e in exchanges]
            yield from recover(plan, seen, random)
            if seen.lasting:
                return _counted(counts)
            exchanges = yield [_step(plan, seen, random, form, plan.twin) for form in group]
            for form, hit, twin in zip(group, reactions, exchanges, strict=True):
                served = react(twin)
                count = counts[form]
                count[0] += blocked(seen, hit)
                count[1] += 1
                count[2] += served.worked and not blocked(seen, served)
    return _counted(counts)


def applicable(trigger: Trigger, random: Random) -> list[str]:
    """The forms that differ from the usual one."""
    payload = trigger.payload(random)
    made = {form: change(payload, trigger.host.encode()) for form, change in _FORMS[trigger.kind].items()}
    return [form for form, changed in made.items() if changed != (payload, ()) or form == OTHER_PORT]


def _counted(counts: dict[str, list[int]]) -> list[Variant]:
    return [Variant(form, *count) for form, count in counts.items()]


def blocked(seen: Seen, reaction: Reaction) -> bool:
    """Whether a connection was cut, starved, or answered as the forger answers."""
    if not reaction.worked or seen.odd_data(reaction):
        return True
    pages = {r.stream()[:64] for r in (*seen.below(), *(r for r in seen.trials if seen.odd_data(r))) if r.data}
    return reaction.stream()[:64] in pages


def reason(found: list[Variant]) -> str:
    """One sentence for a finding's reasons."""
    if not found:
        return "What the filter matches on was not tried: it blocks for too long after each trigger."
    told = [v for v in found if v.tells]
    caught = [v.form for v in told if v.blocked == v.made]
    passed = [v.form for v in told if not v.blocked]
    if not told:
        return "What the filter matches on can't be told: the server took no other form of the harmless request."
    sentence = "The filter also catches the name in these forms: " + ", ".join(caught) if caught else ""
    other = "it lets pass: " + ", ".join(passed) if passed else ""
    mixed = [v.form for v in told if 0 < v.blocked < v.made]
    unsure = "now and then it catches: " + ", ".join(mixed) if mixed else ""
    text = "; ".join(part for part in (sentence, other, unsure) if part)
    return text[0].upper() + text[1:] + "."


def _step(plan: Plan, seen: Seen, random: Random, form: str, host: str | None) -> Step:
    trigger = plan.trigger
    name = (trigger.host if host is None else host).encode()
    payload, cuts = _FORMS[trigger.kind][form](trigger.payload(random, host), name)
    port = _OTHER_PORTS[trigger.kind] if form == OTHER_PORT else trigger.port
    return TcpStep(
        address=plan.address, port=port, payload=payload, cuts=cuts, wait=seen.patience(), linger=seen.linger(),
        connect_wait=2.0,
    )  # fmt: skip


def _same(payload: bytes, _: bytes) -> tuple[bytes, tuple[int, ...]]:
    return payload, ()


def _other_case(payload: bytes, name: bytes) -> tuple[bytes, tuple[int, ...]]:
    mixed = bytes(c ^ 0x20 if i % 2 and chr(c).isalpha() else c for i, c in enumerate(name.lower()))
    return payload.replace(name, mixed, 1), ()


def _cut_in_name(payload: bytes, name: bytes) -> tuple[bytes, tuple[int, ...]]:
    at = payload.find(name)
    return payload, (at + len(name) // 2,) if at >= 0 else ()


def _header_word(payload: bytes, _: bytes) -> tuple[bytes, tuple[int, ...]]:
    return payload.replace(b"Host:", b"hOsT:", 1), ()


def _blanks(payload: bytes, _: bytes) -> tuple[bytes, tuple[int, ...]]:
    return payload.replace(b"Host: ", b"Host: \t ", 1), ()


def _behind_padding(payload: bytes, _: bytes) -> tuple[bytes, tuple[int, ...]]:
    return payload.replace(b"Host:", b"X-Padding: " + b"x" * _PADDING + b"\r\nHost:", 1), ()


def _in_path(payload: bytes, name: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Not as the host, but in the path: does the filter read the Host, or the whole request?"""
    line, _, rest = payload.partition(b"\r\n")
    method, path, version = line.split(b" ")
    return b" ".join((method, path + b"?about=" + name, version)) + b"\r\n" + rest.replace(name, b"localhost", 1), ()


def _two_records(payload: bytes, name: bytes) -> tuple[bytes, tuple[int, ...]]:
    """The ClientHello in two TLS records, cut within the name (RFC 8446, 5.1)."""
    if name not in payload:
        return payload, ()
    hello = payload[5:]
    at = hello.find(name) + len(name) // 2
    head = payload[:3]
    return b"".join(head + tls.vector(2, part) for part in (hello[:at], hello[at:])), ()


def _padded_hello(payload: bytes, _: bytes) -> tuple[bytes, tuple[int, ...]]:
    """A padding extension before the server name, so that it lies behind the first segment."""
    at = 5 + 4 + 2 + 32
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        at += width + int.from_bytes(payload[at : at + width], "big")
    extensions = tls.extension(_PADDING_EXTENSION, bytes(_PADDING)) + payload[at + 2 :]
    body = payload[9:at] + tls.vector(2, extensions)
    return payload[:3] + tls.vector(2, payload[5:6] + tls.vector(3, body)), ()


OTHER_PORT = "another port"
_FORMS: dict[Kind, dict[str, Change]] = {
    "http": {
        "mixed case": _other_case, "header word in mixed case": _header_word, "blanks before it": _blanks,
        "behind 1400 bytes": _behind_padding, "cut in two segments": _cut_in_name, "in the path alone": _in_path,
        OTHER_PORT: _same,
    },
    "tls": {
        "mixed case": _other_case, "behind 1400 bytes": _padded_hello, "cut in two segments": _cut_in_name,
        "cut in two records": _two_records, OTHER_PORT: _same,
    },
}  # fmt: skip
