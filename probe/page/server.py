"""The page over HTTP: on a socket that systemd opened, or one of its own; ends when nobody has asked for a while."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from probe.model.errors import UsageError
from probe.model.home import Change
from probe.page import html
from probe.page.ask import Daemon
from probe.page.guard import at_home, host_allowed, own_form
from probe.page.words import LANGUAGES, Words, negotiate, words

AT_ONCE = 16
"""Most connections; of one address, a quarter of them."""
WITHIN = 20.0
"""Seconds after which a connection is closed, whatever it is doing."""
_LONGEST_FORM = 8192
_LONGEST_CARD = 16384
_DONE = {"pause": "paused", "resume": "resumed", "choose": "chosen"}
_STATIC = {"/page.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml"}
_STATUS = {"code": 403, "later": 429, "operator": 409}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, browsers would send "Origin: null" with a form of ours.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


class Handler(BaseHTTPRequestHandler):
    """Answers one request (HTTP/1.0: then the connection ends)."""

    server_version, sys_version = "colibri", ""
    error_message_format, error_content_type = "%(code)d %(message)s\n", "text/plain; charset=utf-8"
    server: Server  # type: ignore[assignment] # all that is asked of it is there

    def version_string(self) -> str:
        """The Server header: which program, not which version of what."""
        return self.server_version

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Who looks at the page at home is nobody's business: nothing is logged."""

    def do_GET(self) -> None:
        """The page, its style and its icon."""
        said = self._welcome()
        if said is None:
            return
        path, _, query = self.path.partition("?")
        if path in _STATIC:
            self._answer(200, (Path(__file__).parent / path[1:]).read_bytes(), _STATIC[path])
        elif path == "/" or path[1:] in LANGUAGES:
            done = query.removeprefix("done=")
            notice = said(f"said.{done}") if done in _DONE.values() else ""
            self._page(200, said, notice=notice)
        else:
            self._refuse(404, said, "missing")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """A change, by whoever has the code."""
        said = self._welcome()
        if said is not None:
            self._change(said)

    def _change(self, said: Words) -> None:
        if self.path not in {f"/{code}/change" for code in LANGUAGES}:
            return self._refuse(404, said, "missing")
        if not own_form(self._headers()):
            return self._page(403, said, alarm=said("said.forged"))
        change, action = self._form()
        if change is None:
            return self._page(400, said, alarm=said("said.bad"))
        try:
            changed = self.server.daemon_.change(change)
        except OSError:
            return self._page(503, said, alarm=said("said.failed"))
        if changed.refused:
            alarm = said(f"said.{changed.refused}", n=round(changed.wait_s) + 1)
            return self._page(_STATUS[changed.refused], said, alarm=alarm)
        self.send_response(303)
        self.send_header("Location", f"/{said.code}?done={_DONE[action]}")
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def _welcome(self) -> Words | None:
        """The language to answer in; None, and an answer, for who has no business here."""
        wished = self.path[1:].partition("?")[0].partition("/")[0]
        said = words(wished if wished in LANGUAGES else negotiate(self.headers.get("Accept-Language", "")))
        if not at_home(self.client_address[0]):
            self._refuse(403, said, "source")
            return None
        own = self.connection.getsockname()[0]
        if not host_allowed(self.headers.get("Host", ""), own, os.uname().nodename):
            self._refuse(421, said, "host")
            return None
        return said

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _form(self) -> tuple[Change | None, str]:
        """The form's change and its action; None for what is no form of ours."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length) <= _LONGEST_FORM):
            return None, ""
        try:
            fields = parse_qs(self.rfile.read(int(length)).decode(), strict_parsing=True, max_num_fields=250)
            (code,), (action,) = fields["code"], fields["action"]
            paused = {"pause": True, "resume": False, "choose": None}[action]
            listed = fields.get("listed", []) if action == "choose" else []
            chosen = {name: name in fields.get("on", []) for name in listed}
            made = Change(code=code, paused=paused, categories=chosen, source=self.client_address[0].partition("%")[0])
            return msgspec.convert(msgspec.to_builtins(made), Change), action
        except (ValueError, KeyError, OSError):  # msgspec's are ValueErrors
            return None, ""

    def _page(self, status: int, said: Words, *, notice: str = "", alarm: str = "") -> None:
        view = self.server.daemon_.look()
        card = self.server.card() if view is None else ""
        text = html.page(view, said, notice=notice, alarm=alarm, card=card)
        self._answer(status, text.encode(), "text/html; charset=utf-8")

    def _refuse(self, status: int, said: Words, why: str) -> None:
        self._answer(status, html.refusal(said, said(f"refused.{why}")).encode(), "text/html; charset=utf-8")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server:
    """Serves ``listener`` until ``idle`` seconds have passed without a connection (0: for ever).

    ``card``: the file with the report of the memory card, shown where no daemon answers.
    """

    def __init__(self, listener: socket.socket, daemon: Daemon, card: Path, idle: float = 0.0) -> None:
        self.daemon_, self._card, self.listener, self._idle = daemon, card, listener, idle
        self._open: dict[socket.socket, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def card(self) -> str:
        """What the card says; empty where there is none, or it can't be read."""
        try:
            with self._card.open("rb") as file:
                return file.read(_LONGEST_CARD).decode("utf-8-sig", "replace").strip()
        except OSError:
            return ""

    def stop(self) -> None:
        """End :meth:`serve`, from another thread, within a second."""
        self._stop.set()

    def serve(self) -> None:
        """Answer until it is idle or stopped."""
        asked = time.monotonic()
        self.listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self._stop.is_set():
                if selector.select(1.0):
                    self._accept()
                    asked = time.monotonic()
                self._close_old()
                if self._idle and not self._open and time.monotonic() - asked > self._idle:
                    return

    def _accept(self) -> None:
        try:
            link, peer = self.listener.accept()
        except OSError:  # who asked has gone again
            return
        source = str(peer[0])
        with self._lock:
            known = [one for one, _ in self._open.values()]
            full = len(known) >= AT_ONCE or known.count(source) >= AT_ONCE // 4
            if not full:
                self._open[link] = source, time.monotonic()
        if full:
            link.close()
            return
        link.settimeout(WITHIN)
        threading.Thread(target=self._handle, args=(link, peer), daemon=True).start()

    def _handle(self, link: socket.socket, peer: Any) -> None:
        try:
            Handler(link, peer, self)  # type: ignore[arg-type] # all it asks of a server is above
        except OSError:
            pass  # who asked has gone, or was too slow
        finally:
            with self._lock:
                self._open.pop(link, None)
            link.close()

    def _close_old(self) -> None:
        before = time.monotonic() - WITHIN
        with self._lock:
            late = [link for link, (_, since) in self._open.items() if since < before]
        for link in late:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def listener(address: str, environment: dict[str, str]) -> socket.socket:
    """The socket that systemd handed over (sd_listen_fds(3)), or one of our own at ``HOST:PORT``.

    Raises UsageError for an address that is none, OSError where it can't be listened at.
    """
    if environment.get("LISTEN_PID") == str(os.getpid()) and environment.get("LISTEN_FDS") == "1":
        return socket.socket(fileno=3)
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise UsageError(f"--listen: {address!r} is not ADDRESS:PORT")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, dualstack_ipv6=host == "::")
