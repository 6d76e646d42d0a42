"""What the reflector answers to the protocols of calls: STUN, TURN, SIP; and to QUIC."""

from __future__ import annotations

from probe.model.errors import MalformedPacket
from probe.model.reflector import Received
from probe.wire import quic, reflector, sip, stun

SOFTWARE = "Colibri reflector"
_MOST_DATAGRAM = 1400  # bytes: what passes without fragments
_METHODS = "INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER"


def stun_reply(data: bytes, address: str, port: int, realm: str) -> bytes | None:
    """Binding: the address it came from (the probe's engine masks it). Allocate: 401, as every TURN server begins."""
    try:
        message = stun.decode(data)
        if message.kind != "request":
            return None
        if message.method == stun.BINDING:
            return stun.binding_response(message.transaction, address, port, SOFTWARE)
        if message.method == stun.ALLOCATE:
            nonce = message.transaction.hex()
            return stun.refusal(message, stun.UNAUTHENTICATED, "Unauthorized", realm or "colibri", nonce, SOFTWARE)
        return stun.refusal(message, 400, "Bad Request", software=SOFTWARE)
    except MalformedPacket:
        return None


def sip_replies(data: bytes, received: Received, address: str, media_port: int) -> list[bytes]:
    """The answers to a request: what arrived comes back in a body, where one is due.

    INVITE: 100, 180 (with what arrived), 200 with a session at ``address`` and ``media_port``. OPTIONS, REGISTER: 200.
    """
    try:
        message = sip.decode(data)
        return _sip_replies(message, _copies(message, received), address, media_port)
    except MalformedPacket:
        return []


def _copies(message: sip.Message, received: Received) -> list[bytes]:
    """What arrived, in the forms that the asker reads, the one it likes best first."""
    short = reflector.received_text(received)
    return [reflector.turned_text(received), short] if b"text/plain" in message.get(b"accept") else [short]


def _sip_replies(message: sip.Message, copies: list[bytes], address: str, media_port: int) -> list[bytes]:
    method = message.method
    if not method or method == "ACK":
        return []
    tag = message.get(b"call-id").decode("latin-1")[:8]
    extra = [(b"Server", SOFTWARE.encode())]
    if method == "INVITE":
        contact = (b"Contact", f"<sip:echo@{sip.Client(address).host}>".encode())
        offer = sip.session(sip.Client(address, user="echo"), media_port)
        return [
            sip.response(message, 100, "Trying", headers=extra),
            _with(message, 180, "Ringing", tag, extra, copies),
            sip.response(message, 200, "OK", tag=tag, headers=[*extra, contact], body=offer, kind="application/sdp"),
        ]
    if method == "REGISTER":
        extra += [(b"Contact", value) for value in message.all(b"contact")[:1]]
        extra.append((b"Expires", message.get(b"expires") or b"60"))
    if method == "OPTIONS":
        extra.append((b"Allow", _METHODS.encode()))
    if method in ("REGISTER", "OPTIONS"):
        return [_with(message, 200, "OK", tag, extra, copies)]
    if method in ("BYE", "CANCEL"):
        return [sip.response(message, 200, "OK", tag=tag, headers=extra)]
    return [sip.response(message, 501, "Not Implemented", tag=tag, headers=extra)]


def _with(
    message: sip.Message, status: int, reason: str, tag: str, headers: list[tuple[bytes, bytes]], copies: list[bytes]
) -> bytes:
    """A response with a copy of the request, or without one where none would fit a datagram."""
    for copy in copies:
        whole = sip.response(message, status, reason, tag=tag, headers=headers, body=copy)
        if len(whole) <= _MOST_DATAGRAM:
            return whole
    return sip.response(message, status, reason, tag=tag, headers=headers)


def quic_reply(data: bytes) -> bytes | None:
    """Version Negotiation: whoever asks learns that the Initial arrived."""
    try:
        return quic.version_negotiation(quic.header(data))
    except MalformedPacket:
        return None


