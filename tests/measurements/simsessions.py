"""TLS sessions and bulk transfers over the simulated network, for steps that hand over more than packets.

A host takes part by two methods, a box by the same two if it meddles (``simnet.Internet`` asks for them by name):
``session(step)`` gives the :class:`Session` that a TlsStep gets, None: leave it as it is; ``rate(net, flow, upload,
memory)`` gives the bytes a second that a transfer may have at this moment; ``memory`` is what the party remembers.
"""

from __future__ import annotations

import msgspec

from probe.model.exchange import Exchange, Sample, Session, TcpStep, TlsStep, TransferStep
from probe.wire import tls
from tests.measurements.simclients import Connection
from tests.measurements.simnet import ACK, PSH, Internet

_SLICE = 0.02  # seconds of a transfer that are reckoned at once
_SEGMENT = 1448
_FIRST_WINDOW = 10  # segments (RFC 6928)


class Tls(Connection):
    """TlsStep: a ClientHello on the wire; the session itself is the host's word, or that of a box on the way."""

    def __init__(self, net: Internet, step: TlsStep) -> None:
        hello = tls.client_hello(step.server_name, bytes(32), alpn=step.alpn)
        super().__init__(net, TcpStep(
            address=step.address, port=step.port, payload=hello, connect_wait=step.connect_wait, wait=step.wait,
        ), step.address)  # fmt: skip
        self.asked = step

    def exchange(self) -> Exchange:
        seen = super().exchange()
        session = None
        if not self.failure:
            greeted = any(one.packet.payload[:1] == b"\x16" for one in seen.answers)
            session = self.net.session(self, self.asked) if greeted else Session(alert="no answer to the ClientHello")
        return msgspec.structs.replace(seen, step=self.asked, session=session)


class Transfer(Connection):
    """TransferStep: slow start, then what the slowest of line, host and boxes lets through."""

    def __init__(self, net: Internet, step: TransferStep) -> None:
        super().__init__(net, TcpStep(
            address=step.address, port=step.port, payload=step.payload, connect_wait=step.connect_wait,
            wait=step.seconds,
        ), step.address)  # fmt: skip
        self.transfer = step
        self.samples: list[Sample] = []
        self.moved = 0.0
        self.flowing: float | None = None

    def _payload(self) -> None:
        step = self.transfer
        for _ in range(2 if step.decoy and not self.ended else 0):
            self._send(ACK | PSH, step.decoy, step.decoy_ttl, at=0)
        super()._payload()

    def settle(self, linger: float) -> None:  # noqa: ARG002 - the end of a transfer is its own
        """The host has begun to answer: from now on bytes flow, whatever these packets said of an end."""
        if self.flowing is None:
            self.flowing = self.net.now
            self._flow()

    def _flow(self) -> None:
        step, net = self.transfer, self.net
        if self.ended or self.flowing is None or self.sent_at is None:
            return
        if self.closed:
            self.end()
            return
        since = net.now - self.began - self.sent_at
        while len(self.samples) * step.every + step.every <= since + 1e-9:
            self.samples.append(self._sample((len(self.samples) + 1) * step.every))
        wanted = step.upload or step.limit
        if self.moved >= wanted:
            self.samples.append(self._sample(since))
            self.end()
            return
        trip = 2 * net.distance(self) * net.network.delay
        trips = min((net.now - self.flowing) / max(trip, 0.001), 20.0)
        window = _FIRST_WINDOW * _SEGMENT * 2**trips
        rate = min(net.rate(self, upload=bool(step.upload)), window / max(trip, 0.001))
        self.moved = min(float(wanted), self.moved + rate * _SLICE)
        net.at(net.now + _SLICE, self._flow)

    def _sample(self, at: float) -> Sample:
        moved, payload = int(self.moved), len(self.transfer.payload)
        return Sample(at, payload + moved, 0) if self.transfer.upload else Sample(at, payload, moved)

    def exchange(self) -> Exchange:
        return msgspec.structs.replace(super().exchange(), step=self.transfer, samples=tuple(self.samples))
