"""Whether a request is to be carried out: signed by a known key, for this probe, in time, new, and harmless.

Each refusal has its reason. The sequence is written down before a request is carried out, so that none is carried out
twice, whatever happens in between.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from probe.agent.files import write_whole
from probe.agent.requests_where import check
from probe.engine.guard import Guard
from probe.measurements import load, parse_options
from probe.model.canonical import signing_bytes, verify
from probe.model.config import RequestsConfig
from probe.model.errors import CannotMeasure, ColibriError, UsageError
from probe.model.finding import Signature
from probe.model.request import ALL, MOST, Request

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = "requests.json"
LONGEST = {"measure": 3600.0, "stop": 30 * 86400.0, "resume": 86400.0}
"""Seconds between ``issued_at`` and ``not_after``, at most."""
_AHEAD = 300.0  # seconds by which another's clock may be ahead of ours


class RefusedError(ColibriError):
    """A request or a list that is not obeyed; ``by``: the key that signed it, if one that we know did."""

    def __init__(self, reason: str, by: str = "") -> None:
        super().__init__(reason)
        self.by = by


class _Kept(msgspec.Struct):
    sequence: dict[str, int] = {}  # key → the last one
    latest: float = 0.0  # the latest time that a signed text has told: it can't be earlier now
    since: float = 0.0  # what was issued before may have been carried out: it is not known any more
    began: list[float] = []  # when requests were carried out, within the last hour


class Book:
    """Checks requests for one probe and remembers what it has seen (``requests.json`` in the state folder).

    ``guard`` knows the destinations that are never measured; ``wall``: seconds since the epoch.
    """

    def __init__(
        self, folder: Path, probe: str, config: RequestsConfig, guard: Callable[[], Guard], *,
        wall: Callable[[], float], synchronised: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._path, self._probe, self._config, self._guard = folder / FILE, probe, config, guard
        self._wall, self._synchronised = wall, synchronised
        try:
            self._kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            self._kept = _Kept()
        except msgspec.DecodeError:
            self._kept = _Kept(since=wall())

    def now(self) -> float:
        """The time, as far as it is known: never before what was signed already."""
        return max(self._wall(), self._kept.latest)

    def take(self, payload: bytes, command: str) -> Request:
        """The request, checked and noted as seen. ``command``: what its topic says. Raises RefusedError, OSError."""
        request, key = self._signed(payload)
        try:
            self._check(request, key, command)
        except (UsageError, CannotMeasure) as error:
            raise RefusedError(str(error), key) from None
        except RefusedError as error:
            raise RefusedError(str(error), key) from None
        self._kept.sequence[key] = request.sequence
        self._kept.latest = max(self._kept.latest, _epoch(request.issued_at))
        if request.command == "measure":
            self._kept.began = [at for at in self._kept.began if at > self.now() - 3600] + [self.now()]
        write_whole(self._path, msgspec.json.encode(self._kept))
        return request

    def _signed(self, payload: bytes) -> tuple[Request, str]:
        if len(payload) > MOST:
            raise RefusedError(f"{len(payload)} bytes, and {MOST} are the most")
        try:
            decoded: Any = msgspec.json.decode(payload)
            request = msgspec.convert(decoded, Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(f"is not a request: {error}") from None
        key = request.signature.key if request.signature is not None else ""
        if key not in self._config.signed_by:
            raise RefusedError("is not signed by a key of requests.signed_by")
        if not verify(decoded, key):
            raise RefusedError("its signature is not right")
        return request, key

    def _check(self, request: Request, key: str, command: str) -> None:
        if request.command != command:
            raise RefusedError(f"asks to {request.command} where one asks to {command}")
        if self._probe not in request.probes and ALL not in request.probes:
            raise RefusedError("is for other probes")
        if request.sequence <= self._kept.sequence.get(key, 0):
            raise RefusedError(f"sequence {request.sequence} was used: it is a copy, or comes too late")
        issued, ends = _epoch(request.issued_at), _epoch(request.not_after)
        now = self.now()
        if not 0 < ends - issued <= LONGEST[command]:
            raise RefusedError(f"is valid for {ends - issued:.0f} s, and a request to {command} may be for "
                               f"{LONGEST[command]:.0f}")  # fmt: skip
        if issued < self._kept.since:
            raise RefusedError("was issued before this probe lost its memory: it may be a copy")
        if ends < now:
            raise RefusedError(f"expired at {request.not_after}")
        if command == "stop":
            return  # a probe that does not know what time it is stops, too
        if not self._synchronised():
            raise RefusedError("the clock is not synchronised: whether it expired can't be told")
        if issued > now + _AHEAD:
            raise RefusedError(f"is of {request.issued_at}, which is not yet")
        if command == "measure":
            self._check_measurement(request)

    def _check_measurement(self, request: Request) -> None:
        kind = load(request.measurement)
        parse_options(kind, request.options)
        check(request.options, self._guard())
        lately = [at for at in self._kept.began if at > self.now() - 3600]
        if len(lately) >= self._config.per_hour:
            raise RefusedError(f"{len(lately)} requests were carried out within the hour, which is the most")


def signed(request: Request, key: Ed25519PrivateKey) -> Request:
    """The request with its signature. Raises MalformedRecord for options without a canonical form."""
    value = key.sign(signing_bytes(msgspec.json.decode(msgspec.json.encode(request))))
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    return msgspec.structs.replace(request, signature=Signature(public, base64.b64encode(value).decode()))


def _epoch(instant: str) -> float:
    try:
        return dt.datetime.fromisoformat(instant).timestamp()
    except ValueError:
        raise RefusedError(f"{instant} is in no calendar") from None
