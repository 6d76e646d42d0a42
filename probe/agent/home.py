"""The daemon's side of the home's own page: a socket that can tell and change a little, and aim nothing.

It is apart from the control socket so that the page, which strangers in the home may reach, can't have anything
measured even if somebody takes the page's process over: no request of it asks for that, and none changes anything
without the code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from probe.agent import choices
from probe.agent.page_code import FILE, Turnstile, code
from probe.agent.pause import Pause
from probe.agent.unix import UnixServer, failure, send
from probe.model.config import PageConfig
from probe.model.home import Change, Changed, HomeRequest, Look, View

log = logging.getLogger(__name__)

GIVEN = Path("/etc/colibri") / FILE
"""Where the image puts the code that it writes on the card."""


class HomeSocket(UnixServer):
    """Serves :data:`probe.model.home.HomeRequest`; see :class:`probe.agent.unix.UnixServer`.

    ``code_file`` holds the device's code, made when it is first asked for; ``view`` makes what is told; ``chosen`` is
    called after other categories were written down.
    """

    def __init__(
        self, path: Path, group: str, code_file: Path, state_dir: Path, view: Callable[[], View], pause: Pause
    ) -> None:
        super().__init__(path, group, self._handle)
        self._code_file, self._folder, self._view, self._pause = code_file, state_dir, view, pause
        self.turnstile = Turnstile()
        self.chosen: Callable[[], None] = lambda: None

    async def _handle(self, line: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match msgspec.json.decode(line, type=HomeRequest):
            case Look():
                send(writer, self._view())
            case Change() as change:
                try:
                    send(writer, self._change(change))
                except OSError as error:
                    log.error("what the page asked for could not be written down: %s", error)
                    send(writer, failure(str(error), 1))

    def _change(self, change: Change) -> Changed:
        wait = self.turnstile.wait(change.source)
        if wait > 0:
            return Changed("later", round(wait, 1))
        if not self.turnstile.passes(change.code, code(self._code_file), change.source):
            log.warning("a wrong code was given on the home's page")
            return Changed("code")
        if change.paused is True:
            self._pause.hold("home")
        elif change.paused is False:
            self._pause.release("home")
            if self._pause.on:
                return Changed("operator")
        known = {category.name for category in self._view().categories}
        wanted = {name: on for name, on in change.categories.items() if name in known}
        if wanted:
            choices.keep(self._folder, wanted)
            told = ", ".join(f"{name} {'on' if on else 'off'}" for name, on in wanted.items())
            log.warning("the household chose: %s", told)
            self.chosen()
        return Changed("")


def code_file(config: PageConfig, state_dir: Path) -> Path:
    """Where the device's code is, or will be: by the configuration, else where the image's first boot puts it, else in
    the state folder."""
    if config.code_file:
        return Path(config.code_file)
    return GIVEN if GIVEN.exists() else state_dir / FILE
