"""The enrolment server's HTTP: three paths, small bodies, few words, and the certificate that a device showed."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from probe.collector.enrol.desk import Desk
from probe.collector.enrol.limits import Attempts
from probe.model.enrol import AUTHORITY, FIRST, RENEW, Enrolled, First, Refusal, Renewal

MOST = 16 * 1024
"""Most bytes of a request's body."""
LASTS = 30.0
"""Seconds after which a connection is closed, whatever it is doing."""
PEER = "colibri.peer"
"""Key of a request's scope: the certificate that the device showed (DER), or None."""
_STATUS = {"bad_request": 400, "too_many": 429, "too_early": 409}


def make_app(desk: Desk, authority: str, now: Callable[[], int], steady: Callable[[], float]) -> Starlette:
    """The application. ``authority``: its certificate (PEM). ``now``: milliseconds since the epoch; ``steady``:
    seconds, monotonic."""
    attempts = Attempts()

    async def first(request: Request) -> Response:
        return await _served(request, First, lambda asked: desk.first(asked, now()))

    async def renew(request: Request) -> Response:
        peer = request.scope.get(PEER)
        if not peer:
            return _answer(Refusal("unknown"))
        return await _served(request, Renewal, lambda asked: desk.renew(asked, peer, now()))

    async def _served(request: Request, kind: Any, decide: Callable[[Any], Enrolled | Refusal]) -> Response:
        home = request.client.host if request.client else ""
        delay = attempts.wait(home, steady())
        if delay:
            return _answer(Refusal("too_many", delay))
        try:
            asked = msgspec.json.decode(await _body(request), type=kind)
        except (ValueError, ClientDisconnect):  # msgspec's are ValueErrors
            attempts.failed(home, steady())
            return _answer(Refusal("bad_request"))
        said = await run_in_threadpool(decide, asked)
        if isinstance(said, Refusal) and said.reason != "too_early":
            attempts.failed(home, steady())
        return _answer(said)

    async def own(_: Request) -> Response:
        return PlainTextResponse(authority, media_type="application/x-pem-file")

    return Starlette(routes=[
        Route(FIRST, first, methods=["POST"]), Route(RENEW, renew, methods=["POST"]), Route(AUTHORITY, own),
    ])  # fmt: skip


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST:
            raise ValueError(f"more than {MOST} bytes")
    return bytes(body)


def _answer(said: Enrolled | Refusal) -> Response:
    status = 200 if isinstance(said, Enrolled) else _STATUS.get(said.reason, 403)
    headers = {"Cache-Control": "no-store"}
    if isinstance(said, Refusal) and said.after:
        headers["Retry-After"] = f"{said.after:.0f}"
    return Response(msgspec.json.encode(said), status, headers, "application/json")


class Protocol(H11Protocol):
    """uvicorn's HTTP, which hands on the certificate that the other end showed, and lets no connection last."""

    def connection_made(self, transport: Any) -> None:
        """A connection stands, its handshake is over."""
        super().connection_made(transport)
        secure = transport.get_extra_info("ssl_object")
        shown = secure.getpeercert(binary_form=True) if secure is not None else None
        inner = self.app

        async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            scope[PEER] = shown
            await inner(scope, receive, send)

        self.app = app
        self.loop.call_later(LASTS, transport.abort)
