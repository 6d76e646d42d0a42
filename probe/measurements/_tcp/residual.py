"""How long a box goes on blocking after a trigger, and what it remembers: the connection (its 4-tuple) or everything
between the probe and that port of the server (the 3-tuple). Measured after the verdict; changes none."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from probe.measurements import Part
from probe.measurements._tcp.probe import Plan
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import react
from probe.model.exchange import PauseStep, TcpStep

_CHECKS = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0, 120.0, 180.0)
"""Seconds after the trigger at which harmless connections are tried: no longer than three minutes."""
_WAIT = 2.0
_CONNECT = 3.0
_TRIGGER, _CONTROL = "residual", "residual-control"


class Memory(msgspec.Struct, frozen=True):
    """For how long harmless connections failed after a trigger: the last check that did and the first that did not, in
    seconds; (0, 0): none did; (180, None): to the end. ``told``: whether reusing a port works on this line at all."""

    same: tuple[float, float | None]
    other: tuple[float, float | None]
    told: bool

    @property
    def remembers(self) -> str:
        """What the box remembers: "3-tuple", "4-tuple" or "nothing"; "unknown" where the line can't tell."""
        if self.other[0] > 0 or self.other[1] != 0:
            return "3-tuple"
        if not self.told:
            return "unknown"
        return "4-tuple" if self.same[1] != 0 else "nothing"

    def show(self) -> dict[str, Any]:
        """For a finding's details."""
        return {
            "remembers": self.remembers,
            "same_connection_s": list(self.same),
            "other_connections_s": list(self.other),
        }

    def reason(self) -> str:
        """For a finding's reasons."""
        if self.remembers == "unknown":
            return "Whether the box remembers a connection can't be told: no port can be used twice in a row here."
        if self.remembers == "nothing":
            return "The box remembers nothing: the next connection works, even from the same port."
        three = self.remembers == "3-tuple"
        since, until = self.other if three else self.same
        whom = "every connection to this port of the server" if three else "connections from the same port"
        but = "" if three else ", while those from other ports work"
        if until is None:
            return f"After a trigger the box blocks {whom}{but}, for three minutes or longer."
        return f"After a trigger the box blocks {whom}{but}, for {since:.0f} to {until:.0f} s."


def remember(plan: Plan, seen: Seen, random: Random) -> Part[Memory]:
    """One trigger, then harmless connections from its own port and from fresh ones, until both work."""
    wait = max(_WAIT, seen.near())

    def step(host: str | None, flow: str) -> TcpStep:
        payload = plan.trigger.payload(random, host)
        return TcpStep(
            address=plan.address, port=plan.trigger.port, payload=payload, connect_wait=_CONNECT, wait=wait,
            linger=0.05, flow=flow,
        )  # fmt: skip

    told = []
    for _ in range(2):  # the line's own word: may a port be used twice in a row?
        exchanges = yield [step(plan.twin, _CONTROL)]
        told.append(react(exchanges[0]).worked)
    yield [step(None, _TRIGGER)]
    failed: dict[str, float] = {}
    worked: dict[str, float] = {}
    now = 0.0
    for at in _CHECKS:
        if at > now:
            yield [PauseStep(seconds=at - now)]
            now = at
        left = [flow for flow in (_TRIGGER, "") if flow not in worked]
        reactions = [react(exchange) for exchange in (yield [step(plan.twin, flow) for flow in left])]
        for flow, reaction in zip(left, reactions, strict=True):
            (worked if reaction.worked else failed)[flow] = now
        # A connection that does not open takes its time, too.
        now += max(0.0 if r.worked else wait if r.opened else _CONNECT for r in reactions)
        if len(worked) == 2:
            break
    same, other = ((failed.get(flow, 0.0), worked.get(flow)) for flow in (_TRIGGER, ""))
    return Memory(same, other, all(told))
