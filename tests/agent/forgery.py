"""A probe that hears lists and requests, those who may sign them, and those who may not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata

from probe.agent.asked import Asked, Entry, read
from probe.agent.findings import instant
from probe.agent.link import Message
from probe.agent.lists import Accepted
from probe.agent.lists_child import verify
from probe.agent.lists_repository import Repository, bundle_bytes, public_text
from probe.agent.pause import Pause
from probe.agent.requests import RefusedError, signed
from probe.agent.requests_desk import RequestDesk
from probe.engine.guard import Guard
from probe.measurements import Context, load, parse_options
from probe.model.config import Config, ProbeConfig, RequestsConfig, TargetsConfig
from probe.model.errors import MalformedRecord
from probe.model.exchange import Exchange, PauseStep, Step
from probe.model.finding import Finding
from probe.model.request import Bundle, Command, Request, topic
from tests.agent.conftest import make_finding
from tests.measurements.simnet import Internet, Network, drive

NAME = "p-abcdefghij"
NOW = 1_795_000_000.0
"""A moment of 2026, seconds since the epoch."""
LIST = """
[[targets]]
target = "https://press.example/"
measurements = ["tcp_reset"]
options = { control_name = "harmless.example" }
"""


class Signers:
    """Three who sign lists, two of whom it takes; one key that is online; one that signs requests; a stranger."""

    def __init__(self) -> None:
        self.one, self.two, self.three, self.online, self.asker, self.stranger = (
            Ed25519PrivateKey.generate() for _ in range(6)
        )

    def repository(self, folder: Path, now: float = NOW) -> Repository:
        repository = Repository(folder, now)
        repository.init([public_text(key) for key in (self.one, self.two, self.three)], 2, public_text(self.online))
        return repository

    def publish(self, repository: Repository, text: str = LIST, days: float = 90, fresh: float = 14) -> Bundle:
        """A list with the signatures that it needs."""
        path = repository.bundle.with_name("draft.toml")
        path.write_text(text)
        repository.stage(path, days)
        repository.sign(self.one)
        repository.sign(self.three)
        return repository.publish(self.online, fresh)


def resigned(text: str, keys: Sequence[Ed25519PrivateKey], change: Callable[[Any], None] = lambda _: None) -> str:
    """Metadata, changed, with the signatures of these keys alone."""
    metadata: Metadata[Any] = Metadata.from_bytes(text.encode())
    change(metadata.signed)
    metadata.signatures.clear()
    for key in keys:
        metadata.sign(CryptoSigner(key, SSlibKey.from_crypto(key.public_key())), append=True)
    return metadata.to_bytes().decode()


class Line(Internet):
    """A network in memory, with the engine's guard before it, as the engine's own performer has it."""

    def __init__(self, network: Network, guard: Guard) -> None:
        super().__init__(network, 1)
        self._guard, self.sent_to = guard, set[str]()

    def perform(self, steps: list[Step]) -> list[Exchange]:
        for step in steps:
            if not isinstance(step, PauseStep):
                self._guard.check(step.address)
                self.sent_to.add(step.address)
        return super().perform(steps)


class Device:
    """A probe's desk with everything behind it; its measurements run on a network in memory."""

    def __init__(
        self, folder: Path, signers: Signers, root: Path | None = None, network: Network | None = None
    ) -> None:
        self.signers = signers
        self.config = Config(
            probe=ProbeConfig(state_dir=str(folder)),
            requests=RequestsConfig(signed_by=[public_text(signers.asker)]),
            targets=TargetsConfig(root=str(root) if root else ""),
        )
        folder.mkdir(exist_ok=True)
        self.folder, self.wall, self.synchronised = folder, NOW, True
        self.said: list[tuple[str, Any]] = []
        self.measured: list[Request] = []
        self.reloads = 0
        self.line = Line(network or Network(), Guard())
        self.restart()

    def restart(self) -> None:
        """As after a power cut: what is remembered is what is on the disk."""
        self.pause = Pause(self.folder, lambda: self.wall)
        self.desk = RequestDesk(
            self.config, NAME, self.pause, Asked(self.folder, lambda: self.wall), measure=self._measure,
            say=lambda topic, payload: self.said.append((topic, msgspec.json.decode(payload))), reload=self._reload,
            wall=lambda: self.wall, synchronised=lambda: self.synchronised,
        )  # fmt: skip

    def hear(self, payload: bytes, to: str, *, retained: bool = False) -> list[Entry]:
        """A message arrives; what the log has got by it when all is done."""
        before = len(read(self.folder))

        async def scene() -> None:
            self.desk.hear(Message(to, payload, retained))
            while self.desk._tasks:
                await asyncio.gather(*self.desk._tasks)

        asyncio.run(scene())
        return read(self.folder)[before:]

    async def _measure(self, request: Request) -> Finding:
        kind = load(request.measurement)
        options = parse_options(kind, request.options, {"resolver": "9.9.9.9", "control_name": "good.example"})
        drive(kind.measure(options, Context(Random(1))), self.line)
        self.measured.append(request)
        return make_finding(1)

    def _reload(self) -> None:
        self.reloads += 1


def request(signers: Signers, key: Ed25519PrivateKey | None = None, **changes: Any) -> bytes:
    """A request that is right, but for the changes: signed after them."""
    plain: dict[str, Any] = {
        "schema": "colibri.request/1", "id": "r-1", "probes": [NAME], "sequence": 1000, "issued_at": instant(NOW - 10),
        "not_after": instant(NOW + 600), "command": "measure", "measurement": "tcp_reset",
        "options": {"target": "https://press.example/", "address": "93.184.216.34", "control_name": "good.example"},
    }  # fmt: skip
    made = signed(msgspec.convert({**plain, **changes}, Request), key or signers.asker)
    return msgspec.json.encode(made)


def altered(payload: bytes, /, **changes: Any) -> bytes:
    """A signed request whose fields were changed afterwards."""
    return json.dumps({**json.loads(payload), **changes}).encode()


def to(command: Command = "measure", probe: str = NAME) -> str:
    return topic(probe, command)


async def in_process(payload: bytes, root: Path, folder: Path, now: float) -> Accepted:
    """What the child process does, in this one: for many at once."""
    try:
        return verify(msgspec.json.decode(payload, type=Bundle), await asyncio.to_thread(root.read_bytes), folder, now)
    except MalformedRecord as error:
        raise RefusedError(str(error)) from None


__all__ = [
    "LIST", "NAME", "NOW", "Device", "Line", "Signers", "altered", "bundle_bytes", "in_process", "request", "resigned",
    "to",
]  # fmt: skip
