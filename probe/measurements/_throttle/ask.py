"""Transfers from and to the far end: with the name, as its twin with every bit flipped, with a harmless name, and
behind a decoy that bears the name but dies on the way.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.measurements import Context, Part
from probe.measurements._far import Far, hello
from probe.measurements._locate import expired_at
from probe.measurements._throttle.stats import moved, pieces, rate
from probe.model.exchange import Exchange, TransferStep
from probe.model.reflector import Direction, Transfer
from probe.wire import http, reflector, tls

Kind = Literal["name", "twin", "harmless", "decoy"]
Trigger = Literal["tls", "http"]
SECONDS = 3
_EVERY = 0.1
_ENOUGH = 20_000  # bytes of a transfer that tell its rate even if it ends before its time
_RENEW = 40  # transfers for which one token is good: 5 seconds each are less than its 300
_SPARE = 2  # kilobytes that the far end may send besides: records, a head


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer. ``speed``: bytes a second of its second half; None where it failed or was cut off. ``pieces``: the
    same, each half second. ``bytes``: moved in all. ``expired_at``: who says that the decoy died there."""

    kind: Kind
    direction: Direction
    speed: float | None
    bytes: int
    seconds: float
    pieces: tuple[float, ...] = ()
    ttl: int = 0
    expired_at: str | None = None


class Asking:
    """Orders transfers one after the other; ``all``: those so far."""

    def __init__(
        self, far: Far, context: Context, *, name: str, harmless: str, trigger: Trigger, port: int, kilobytes: int
    ) -> None:
        self._far, self._context = far, context
        self._name, self._harmless, self._trigger = name, harmless, trigger
        self._port, self._kilobytes = port, kilobytes
        self._asked = 0
        self.all: list[Moved] = []

    def of(self, kind: Kind, direction: Direction) -> list[Moved]:
        """Transfers of a kind and direction so far."""
        return [one for one in self.all if (one.kind, one.direction) == (kind, direction)]

    def _request(self, name: str, direction: Direction) -> bytes:
        """The first flight: a ClientHello, or a request, for ``name``, which orders a transfer."""
        random = self._context.random
        kilobytes = self._kilobytes + _SPARE if direction == "down" else self._kilobytes
        order = Transfer(direction=direction, seconds=SECONDS + 2, kilobytes=kilobytes)
        token = self._far.token(self._context)
        if self._trigger == "http":
            return http.request(name or self._far.address, reflector.http_path(order, token))
        session = reflector.session_id(token, order, random.randbytes(12))
        return tls.client_hello(name, random.randbytes(32), session, random.randbytes(32))

    def move(self, kind: Kind, direction: Direction, ttl: int = 0) -> Part[Moved]:
        """One transfer, alone on the line."""
        self._asked += 1
        if not self._asked % _RENEW:
            self._far = (yield from hello(self._far.address, self._context)) or self._far
        name = self._request(self._name, direction)
        payload = {
            "name": name,
            "harmless": self._request(self._harmless, direction),
            "twin": reflector.twin(self._request(self._name, direction)),
            "decoy": reflector.twin(self._request(self._name, direction)),
        }[kind]
        (exchange,) = yield [TransferStep(
            address=self._far.address, port=self._port, payload=payload, seconds=float(SECONDS), every=_EVERY,
            limit=1000 * self._kilobytes, upload=1000 * self._kilobytes if direction == "up" else 0,
            decoy=name if kind == "decoy" else b"", decoy_ttl=ttl,
        )]  # fmt: skip
        found = _moved(exchange, kind, direction, ttl)
        self.all.append(found)
        return found


def _moved(exchange: Exchange, kind: Kind, direction: Direction, ttl: int) -> Moved:
    last = exchange.samples[-1] if exchange.samples else None
    octets, seconds = (moved(exchange, last), last.at) if last else (0, 0.0)
    speed = rate(exchange)
    if not octets or (octets < _ENOUGH and seconds < 0.9 * SECONDS):
        speed = None  # nothing came at all, or it was cut off
    return Moved(
        kind=kind, direction=direction, speed=speed, bytes=octets, seconds=seconds, pieces=tuple(pieces(exchange)),
        ttl=ttl, expired_at=expired_at(exchange) if ttl else None,
    )  # fmt: skip
