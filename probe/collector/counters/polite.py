"""Asks servers of others as a guest does: nothing that robots.txt forbids, a host at most once a minute, nothing twice
that has not changed, and never an address inside somebody's network.
"""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Awaitable, Callable
from urllib.parse import urljoin

import msgspec

from probe import __version__
from probe.collector import instants
from probe.collector.counters.ledger import Host, Ledger, Page
from probe.collector.counters.robots import AGENT, MOST, Rules, rules
from probe.collector.outgoing import Answer, Permit, ask, parts
from probe.model.errors import Unanswered

SPACING = instants.MINUTE
"""Least time between two requests to a host, whatever they are for."""
ROBOTS_FOR = instants.DAY
"""A robots.txt is used for no longer (RFC 9309, 2.4)."""
REDIRECTS = 5  # that have to be followed for robots.txt (RFC 9309, 2.3.1.2); and no more for a page
LONGEST_WAIT = 7 * instants.DAY  # of what a Retry-After may ask for

_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({429, 503})

Clock = Callable[[], int]
Sleep = Callable[[float], Awaitable[None]]


class Guest:
    """One for all counters. ``now`` in ms; ``sleep`` takes seconds."""

    def __init__(
        self, ledger: Ledger, permitted: Permit, contact: str, *, now: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        """``contact``: an address where a page's owner learns who we are; empty: none."""
        self._ledger = ledger
        self._permitted = permitted
        self._agent = f"{AGENT}/{__version__}{f' (+{contact})' if contact else ''}"
        self._now = now
        self._sleep = sleep
        self._locks: dict[str, asyncio.Lock] = {}

    async def fetch(self, url: str, page: Page) -> Answer:
        """A page, after redirects; status 304 if it has not changed since ``page``.

        Waits for its turn. Raises Unanswered: forbidden by robots.txt, an address that is not public, no answer, or
        one that is no success. What the host asked to be waited for is in the reason, and is kept to.
        """
        validators = {"If-None-Match": page.etag} if page.etag else {}
        if page.modified:
            validators["If-Modified-Since"] = page.modified
        for _ in range(REDIRECTS + 1):
            if not (await self._rules(url)).allows(url):
                raise Unanswered(url, "robots.txt does not allow it")
            answer = await self._ask(url, {"Accept": "*/*", **validators})
            if answer.status not in _FOLLOWED:
                break
            url = _redirected(url, answer)
        else:
            raise Unanswered(url, f"more than {REDIRECTS} redirects")
        if answer.status == 304 and validators:
            return answer
        if answer.status != 200:
            raise Unanswered(url, f"answered with status {answer.status}")
        return answer

    async def _rules(self, url: str) -> Rules:
        host = origin(url)
        known = await self._host(host)
        if known.robots is None or self._now() - known.robots_at >= ROBOTS_FOR:
            text = await self._robots(f"{host}/robots.txt")
            known = Host(robots=text, robots_at=self._now())
            await self._put(host, known)
        return rules(known.robots or "")

    async def _robots(self, url: str) -> str:
        """A robots.txt. What is not there forbids nothing (RFC 9309, 2.3.1.3)."""
        for _ in range(REDIRECTS + 1):
            answer = await self._ask(url, {"Accept": "text/plain, */*;q=0.1"}, most=4 * MOST)
            if answer.status not in _FOLLOWED:
                break
            url = _redirected(url, answer)
        if 200 <= answer.status < 300:
            return answer.body[:MOST].decode("utf-8", "replace")
        if 400 <= answer.status < 500 and answer.status != 429:
            return ""
        # It may forbid everything, so nothing is asked for (2.3.1.4).
        raise Unanswered(url, f"answered with status {answer.status}, so nothing is read there")

    async def _ask(self, url: str, headers: dict[str, str], most: int = 1024 * 1024) -> Answer:
        """One request, when it is the host's turn: whatever its ports and schemes, it is one machine that answers."""
        host = parts(url)[1]
        async with self._locks.setdefault(host, asyncio.Lock()):
            delay = max(SPACING, int(rules((await self._host(origin(url))).robots or "").delay * instants.SECOND))
            known = await self._turn(host, url, delay)
            answer = await ask("GET", url, {"User-Agent": self._agent, **headers}, permitted=self._permitted, most=most)
            if answer.status in _LATER:
                wait = min(_retry_after(answer.headers.get("retry-after", ""), self._now()), LONGEST_WAIT)
                await self._put(host, msgspec.structs.replace(known, wait_until=self._now() + wait))
            return answer

    async def _turn(self, host: str, url: str, delay: int) -> Host:
        known = await self._host(host)
        if known.wait_until > self._now():
            raise Unanswered(url, f"asked to be left alone until {instants.to_text(known.wait_until)}")
        # A clock that was set back must not stop everything for good.
        pause = min(known.asked_at + delay - self._now(), delay) if known.asked_at else 0
        if pause > 0:
            await self._sleep(pause / instants.SECOND)
        known = msgspec.structs.replace(known, asked_at=self._now())
        await self._put(host, known)
        return known

    async def _put(self, host: str, known: Host) -> None:
        await asyncio.to_thread(self._ledger.put_host, host, known)

    async def _host(self, host: str) -> Host:
        return await asyncio.to_thread(self._ledger.host, host)


def origin(url: str) -> str:
    """Scheme, host and port of a URL: whose robots.txt it is. Raises Unanswered."""
    secure, host, port, _ = parts(url)
    name = f"[{host}]" if ":" in host else host
    default = port == (443 if secure else 80)
    return f"{'https' if secure else 'http'}://{name}{'' if default else f':{port}'}"


def _redirected(url: str, answer: Answer) -> str:
    location = answer.headers.get("location", "")
    target = urljoin(url, location)
    if not location or (url.startswith("https:") and not target.startswith("https:")):
        raise Unanswered(url, f"redirects to {location!r}, which is not followed")
    return target


def _retry_after(text: str, now: int) -> int:
    """The wait in ms that a Retry-After asks for (RFC 9110, 10.2.3); an hour if it does not say."""
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text) * instants.SECOND
    try:
        return max(0, int(email.utils.parsedate_to_datetime(text).timestamp() * instants.SECOND) - now)
    except (ValueError, TypeError, OverflowError):
        return 60 * instants.MINUTE
