"""What this probe does with what comes from afar: lists, measurements, stops. All of it goes into the local log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from probe.agent import lists
from probe.agent.asked import Asked
from probe.agent.link import Message
from probe.agent.pause import Pause
from probe.agent.requests import Book, RefusedError
from probe.engine.clock import synchronised as clock_is_right
from probe.engine.guard import Guard, networks
from probe.engine.interfaces import own_addresses
from probe.model.config import Config
from probe.model.errors import ColibriError
from probe.model.finding import Finding
from probe.model.request import ALL, LISTS, Command, Request, Response, answers, topic

log = logging.getLogger(__name__)

_AT_ONCE = 2  # requests that wait or run; more are refused
_COMMANDS: tuple[Command, ...] = ("measure", "stop", "resume")

Measure = Callable[[Request], Awaitable[Finding]]
Say = Callable[[str, bytes], None]


class RequestDesk:
    """Takes messages, in the daemon's event loop. ``measure`` carries out a request and publishes its finding;
    ``say`` publishes an answer; ``reload`` is called when another target list is in force."""

    def __init__(
        self, config: Config, probe: str, pause: Pause, asked: Asked, *, measure: Measure, say: Say,
        reload: Callable[[], None], wall: Callable[[], float] = time.time,
        synchronised: Callable[[], bool] = clock_is_right,
    ) -> None:  # fmt: skip
        self._config, self._probe, self._pause, self._asked = config, probe, pause, asked
        self._measure, self._say, self._reload, self._wall = measure, say, reload, wall
        folder = Path(config.probe.state_dir)
        self._book = Book(folder, probe, config.requests, self._guard, wall=wall, synchronised=synchronised)
        self._tasks: set[asyncio.Task[None]] = set()
        self._measuring = 0
        self._list = b""  # the last bundle: the broker sends it again at every connection

    @property
    def topics(self) -> Iterable[str]:
        """What to subscribe to; nothing where the configuration names no key."""
        if self._config.targets.root:
            yield LISTS
        if self._config.requests.signed_by:
            for command in _COMMANDS:
                yield topic(self._probe, command)
                yield topic(ALL, command)

    def hear(self, message: Message) -> None:
        """Take a message; what takes time goes on beside."""
        if message.topic == LISTS:
            if message.payload and message.payload != self._list:
                self._list = message.payload
                self._begin(self._take_list(message.payload))
            return
        for command in _COMMANDS:
            if message.topic in (topic(self._probe, command), topic(ALL, command)) and message.payload:
                self._take(message, command)

    async def close(self) -> None:
        """Break off what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, message: Message, command: Command) -> None:
        try:
            request = self._book.take(message.payload, command)
            if command == "measure" and self._measuring >= _AT_ONCE:
                raise RefusedError("as many requests as may be are under way", _signer(request))
        except RefusedError as refused:
            if message.retained and command != "measure" and "was used" in str(refused):
                return  # the broker's copy of what was obeyed already
            self._refuse(message, command, refused)
            return
        except OSError as error:
            log.error("a request can't be written down, so it is not carried out: %s", error)
            self._asked.note("request", "failed", command, str(error))
            if command == "stop":
                self._pause.hold("operator")
            return
        by = _signer(request)
        if command == "measure":
            self._asked.note("request", "accepted", _subject(request), by=by, size=len(message.payload))
            self._measuring += 1
            self._begin(self._carry_out(request))
            return
        try:
            (self._pause.hold if command == "stop" else self._pause.release)("operator")
        except OSError as error:
            log.error("%s is in force, but can't be written down: %s", command, error)
        self._asked.note("request", "done", command, by=by, size=len(message.payload))
        self._answer(command, Response(request=request.id, status="done"))

    def _refuse(self, message: Message, command: Command, refused: RefusedError) -> None:
        log.warning("a request to %s is refused: %s", command, refused)
        self._asked.note("request", "refused", command, str(refused), refused.by, len(message.payload))
        if refused.by:  # whoever can't sign gets no answer
            try:
                name = msgspec.json.decode(message.payload, type=Request).id
            except msgspec.DecodeError:
                return
            self._answer(command, Response(request=name, status="refused", reason=str(refused)))

    async def _carry_out(self, request: Request) -> None:
        subject = _subject(request)
        try:
            finding = await self._measure(request)
        except (ColibriError, TimeoutError) as error:
            reason = str(error) or "it took too long"
            self._asked.note("request", "failed", subject, reason, _signer(request))
            self._answer("measure", Response(request=request.id, status="failed", reason=reason[:1000]))
        else:
            self._asked.note("request", "done", subject, finding.verdict, _signer(request))
            self._answer("measure", Response(request=request.id, status="done", finding=finding.id))
        finally:
            self._measuring -= 1

    async def _take_list(self, payload: bytes) -> None:
        try:
            accepted = await lists.take(payload, self._config, self._guard(), self._book.now())
        except (RefusedError, TimeoutError) as refused:
            reason = str(refused) or "its check took too long"
            log.warning("a target list is refused: %s", reason)
            self._asked.note("list", "refused", reason=reason, size=len(payload))
            return
        except OSError as error:
            log.error("a target list can't be taken: %s", error)
            self._asked.note("list", "failed", reason=str(error), size=len(payload))
            self._list = b""
            return
        if accepted is not None:
            log.info("target list %d is in force until %s", accepted.version, accepted.expires)
            self._asked.note("list", "accepted", f"version {accepted.version}", size=len(payload))
            self._reload()

    def _guard(self) -> Guard:
        own = own_addresses()  # they change: asked anew
        return Guard(networks(self._config.safety.allow_networks), own.addresses, own.networks)

    def _answer(self, command: Command, response: Response) -> None:
        self._say(answers(self._probe, command), msgspec.json.encode(response))

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request ended in a fault of ours", exc_info=error)


def _signer(request: Request) -> str:
    return request.signature.key if request.signature is not None else ""


def _subject(request: Request) -> str:
    return f"{request.measurement} of {request.options.get('target', '')}"
