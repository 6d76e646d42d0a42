"""The far end as a measurement uses it: a token first, then questions about what arrived there.

Control messages go as datagrams to the reflector's own port, again if nothing came back, and at last over HTTP. They
name nothing that anybody filters; where even they don't get through, there is no far end to judge by, and ``hello`` is
None.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.measurements import Context, Part, Steps
from probe.measurements._tcp.triggers import react
from probe.model.errors import MalformedPacket
from probe.model.exchange import Exchange, Step, TcpStep, UdpStep
from probe.model.finding import Judgement
from probe.model.packet import Packet
from probe.model.reflector import (
    MOST_ARRIVALS,
    PORT,
    Answer,
    Arrivals,
    Arrived,
    Echo,
    Grant,
    Hello,
    Received,
    Refused,
    Report,
    Reports,
    Request,
    StreamReport,
)
from probe.wire import http, reflector

MATCH = (4, 12)
"""Where a control datagram holds what its answer repeats."""
_WAIT = 1.5
_TRIES = 3
_HTTP_PORTS = (PORT, 80)
_REPORTS = 4  # streams of which one datagram tells, however long they were


class Far(msgspec.Struct, frozen=True):
    """A reflector that gave a token. ``over_udp``: control datagrams get there and back."""

    address: str
    grant: Grant
    over_udp: bool = True

    def token(self, context: Context) -> bytes:
        """The token with a fresh nonce, for one message of any protocol (``probe.wire.reflector``)."""
        return reflector.with_nonce(bytes.fromhex(self.grant.token), context.random.getrandbits(16))


def hello(address: str, context: Context) -> Part[Far | None]:
    """A token from the reflector at ``address``: over UDP, else over HTTP; None where it can't be had.

    It is good for ``grant.lifetime`` seconds: a long measurement says hello again.
    """
    for _ in range(_TRIES):
        found = yield from _round([(address, bytes(12), Hello())], context, udp=True)
        if isinstance(found[0], Grant):
            return Far(address, found[0])
    found = yield from _round([(address, bytes(12), Hello())], context, udp=False)
    return Far(address, found[0], over_udp=False) if isinstance(found[0], Grant) else None


def ask(far: Far, requests: Sequence[Request], context: Context) -> Part[list[Answer | None]]:
    """The answers to several requests side by side, None for those that got none over UDP nor HTTP."""
    answers: list[Answer | None] = [None] * len(requests)
    token = bytes.fromhex(far.grant.token)
    for attempt in range(_TRIES + 1):
        udp = far.over_udp and attempt < _TRIES
        left = [i for i, answer in enumerate(answers) if answer is None]
        if not left or (not far.over_udp and attempt > 1):
            break
        found = yield from _round([(far.address, token, requests[i]) for i in left], context, udp=udp)
        for i, answer in zip(left, found, strict=True):
            answers[i] = answer
    return answers


def steady(far: Far, context: Context) -> Part[bool | None]:
    """Whether the line keeps one public address, so that one token serves all its flows; None where nothing tells.

    Behind a carrier's NAT that spreads flows over several addresses (against RFC 6888, REQ-2), or a home with two
    lines, a flow may come from another one: the reflector is then silent, and that is nobody's filter.
    """
    hellos: list[tuple[str, bytes, Request]] = [(far.address, bytes(12), Hello())]
    found = yield from _round(hellos * 6, context, udp=True, flow="steady")
    found += yield from _round(hellos, context, udp=False)
    tokens = {one.token[:4] + one.token[8:] for one in found if isinstance(one, Grant)}
    slots = {token[:4] for token in tokens}
    if len(found) - found.count(None) < 2:
        return None
    return len(tokens) == len(slots)


def unless_spread(judgement: Judgement, far: Far | None, context: Context) -> Steps:
    """The judgement; but nobody is accused where the line's flows come from several public addresses."""
    if far is None or judgement.verdict != "interfered":
        return judgement
    if (yield from steady(far, context)) is not False:
        return judgement
    return msgspec.structs.replace(
        judgement, verdict="inconclusive", rule=f"{judgement.rule.partition('/')[0]}/several-public-addresses",
        interference=None, confidence=0.0,
        reasons=[
            (
                "The line's connections come from several public addresses (an operator's shared NAT, two lines): the "
                "far end takes some of them for strangers and stays silent, which looks like a filter."
            ),
            *judgement.reasons,
        ],
    )  # fmt: skip


def _round(
    wanted: list[tuple[str, bytes, Request]], context: Context, *, udp: bool, flow: str = ""
) -> Part[list[Answer | None]]:
    """Ask each once, on a flow of its own where ``flow`` gives them names."""
    steps: list[Step] = []
    ways = 1 if udp else len(_HTTP_PORTS)
    for address, token, request in wanted:
        # The nonce tells one message's answer from another's, and a cached page from a fresh one.
        key = token[:2] + context.random.randbytes(2) + token[4:]
        if udp:
            if isinstance(request, Hello):
                payload = reflector.hello(context.random.randbytes(12), request)
            else:
                payload = reflector.control(key, request)
            own = f"{flow}{len(steps)}" if flow else ""
            steps.append(UdpStep(address=address, port=PORT, payload=payload, match=MATCH, wait=_WAIT, flow=own))
        else:
            host = f"[{address}]" if ":" in address else address
            get = http.request(host, reflector.http_path(request, key))
            steps += [TcpStep(address=address, port=port, payload=get) for port in _HTTP_PORTS]
    exchanges = yield steps
    answers = [read(exchange) for exchange in exchanges]
    return [next((a for a in answers[i : i + ways] if a is not None), None) for i in range(0, len(answers), ways)]


def read(exchange: Exchange) -> Answer | None:
    """The answer that an exchange brought, None where there is none."""
    try:
        if isinstance(exchange.step, UdpStep):
            return _datagram(exchange, exchange.step.payload[4:16])
        response = http.decode_response(react(exchange).stream())
        return reflector.answered(response.body) if response.complete else None
    except MalformedPacket:
        return None


def _datagram(exchange: Exchange, token: bytes) -> Answer | None:
    for heard in exchange.answers:
        payload = heard.packet.payload
        if payload.startswith(reflector.MAGIC + token):
            return reflector.answered(payload)
    return None


def echo(
    far: Far, ports: Sequence[int], context: Context, *, tos: int = 0, pad: int = 0
) -> Part[list[Received | None]]:
    """How a control datagram to each of the ports arrived (TTL, TOS, port, bytes), None where no answer came.

    ``tos``: of what is sent, and of the answer. ``pad``: bytes added. Each is sent once: ask again where it matters.
    """
    steps: list[Step] = []
    for port in ports:
        payload = reflector.control(far.token(context), Echo(tos=tos))
        payload = payload.ljust(len(payload) + pad)
        steps.append(UdpStep(address=far.address, port=port, payload=payload, match=MATCH, wait=_WAIT, tos=tos))
    answers = [read(exchange) for exchange in (yield steps)]
    return [answer if isinstance(answer, Received) else None for answer in answers]


def report(far: Far, streams: Sequence[int], context: Context) -> Part[dict[int, tuple[StreamReport, ...]] | None]:
    """How streams arrived at the far end, by SSRC (a twin that shares it included); None where it could not be asked.

    An empty tuple: nothing of that stream came.
    """
    groups = [tuple(streams[i : i + _REPORTS]) for i in range(0, len(streams), _REPORTS)]
    answers = yield from ask(far, [Report(group) for group in groups], context)
    found: dict[int, tuple[StreamReport, ...]] = {}
    for group, answer in zip(groups, answers, strict=True):
        if not isinstance(answer, Reports):
            return None
        found |= {ssrc: tuple(one for one in answer.streams if one.ssrc == ssrc) for ssrc in group}
    return found


def arrivals(
    far: Far, packets: Sequence[Packet], context: Context, *, within: float, peer: str = ""
) -> Part[Arrived | None]:
    """Which of the packets (as they were sent: ``Heard.packet``) arrived, in the last ``within`` seconds; at the
    reflector, or at a ``peer`` that it asks. None where it could not be asked.

    Packets that have no name (:func:`probe.wire.reflector.arrival_id`) count as "can't tell" (-1).
    """
    names = [reflector.arrival_id(packet) for packet in packets]
    known = [name for name in names if name is not None]
    requests = [
        Arrivals(packets=b"".join(known[i : i + MOST_ARRIVALS]), within=within, peer=peer)
        for i in range(0, len(known), MOST_ARRIVALS)
    ]
    answers = yield from ask(far, requests, context)
    counts: list[int] = []
    yours: list[int] = []
    whys: list[str] = []
    for answer in answers:
        if isinstance(answer, Refused):
            return Arrived(counts=(-1,) * len(names), yours=(0,) * len(names), why=answer.why)
        if not isinstance(answer, Arrived):
            return None
        counts += answer.counts
        yours += answer.yours
        whys += [answer.why] if answer.why else []
    if len(counts) != len(known) or len(yours) != len(known):
        return None
    each = iter(zip(counts, yours, strict=True))
    both = [next(each) if name is not None else (-1, 0) for name in names]
    return Arrived(counts=tuple(c for c, _ in both), yours=tuple(y for _, y in both), why=whys[0] if whys else "")
