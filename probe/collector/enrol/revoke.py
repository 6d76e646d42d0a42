"""Takes a name back, and makes sure of it: the list of the revoked, the broker told, the session cut, all seen to work.

A broker that has read the new list refuses new connections and lets the present ones be (measured, Mosquitto 2.0).
Who connects under a name that is in use takes the other's place, though; so the authority gives itself a certificate
in that name, good for minutes, and connects with it once. Whether the list is in force is seen by another such
certificate, which is on the list: as long as it is let in, the broker has not read it.
"""

from __future__ import annotations

import logging
import os
import signal
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from probe.collector.enrol.authority import Authority, private_pem
from probe.collector.enrol.register import Register
from probe.collector.instants import now
from probe.model import feed
from probe.model.config import EnrolmentConfig
from probe.model.errors import ColibriError, UsageError

_log = logging.getLogger(__name__)

WITHIN = 30.0
"""Seconds within which the broker must have read the list, or the attempt is called failed."""
_ANSWER = 5.0
_AGAIN = 0.1
_MINUTES = 10 / 1440  # days


class Revoked(msgspec.Struct, frozen=True):
    """How it went: seconds until the broker refused the name's certificates, and until its session was cut."""

    name: str
    certificates: int
    refused_after: float | None = None
    cut_after: float | None = None


def revoke(
    config: EnrolmentConfig, authority: Authority, register: Register, name: str, broker: tuple[str, int] | None,
    clock: Callable[[], float] = time.monotonic,
) -> Revoked:  # fmt: skip
    """Take a probe's name back. ``broker``: its host and port; None: it is elsewhere, and only the list is written.

    Raises UsageError for a name that no probe has, StoreError, OSError, and ColibriError where the broker can't be
    seen to refuse it in time: it is revoked in the register and on the list all the same.
    """
    started = clock()
    if register.probe(name) is None:
        raise UsageError(f"no probe is called {name!r}: colibri collector list")
    with register.writing():
        register.mark_revoked(name, now())
    serials = register.revoked_serials()
    canary = Pass(authority, name)
    authority.revoke([*serials, canary.serial], now())
    row = register.probe(name)
    count = row.certificates if row else 0
    _signal(config.broker_pid)
    if broker is None:
        return Revoked(name, count)
    while canary.enters(*broker, authority) is not False:
        if clock() - started > WITHIN:
            raise ColibriError(
                f"{name} is on the list of the revoked, but the broker has not read it in {WITHIN:.0f} s:"
                " reload it (systemctl reload mosquitto), then revoke again"
            )
        time.sleep(_AGAIN)
        _signal(config.broker_pid)
    refused = clock() - started
    if not Pass(authority, name).enters(*broker, authority, last_words=True):
        raise ColibriError(f"the broker at {broker[0]} does not answer: the session of {name} may still stand")
    return Revoked(name, count, round(refused, 3), round(clock() - started, 3))


class Pass:
    """A certificate of the authority in a probe's name, for minutes."""

    def __init__(self, authority: Authority, name: str) -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        issued = authority.client(self._key.public_key(), name, now(), _MINUTES)
        self.serial, self._pem = issued.serial, issued.pem

    def enters(self, host: str, port: int, authority: Authority, *, last_words: bool = False) -> bool | None:
        """Connect, which ends whatever session has the name; whether the broker let it, None where it took too long to
        say. ``last_words``: the probe is said to be offline, for good."""
        context = ssl.create_default_context(cadata=authority.pem)
        context.check_hostname = False  # the broker's owner knows where it is; whose it is, the authority says
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "pass"
            file.touch(0o600)
            file.write_bytes(self._pem.encode() + private_pem(self._key))
            context.load_cert_chain(file)
        client = Client(CallbackAPIVersion.VERSION2, self.name, protocol=MQTTProtocolVersion.MQTTv5)
        client.tls_set_context(context)
        told: list[bool] = []  # what the broker says: let in or not; not, too, where it hangs up

        def on_connect(_c: object, _u: object, _f: object, code: ReasonCode, _p: object) -> None:
            told.append(not code.is_failure)

        client.on_connect = on_connect
        client.on_disconnect = lambda *_: told.append(False)
        try:
            client.connect(host, port, clean_start=True)
        except ssl.SSLError:
            return False
        except OSError as error:
            raise ColibriError(f"the broker at {host}:{port} can't be reached: {error.strerror or error}") from None
        _until(client, lambda: bool(told))
        entered = told[0] if told else None
        if entered and last_words:
            said = client.publish(feed.availability(self.name), feed.GONE, qos=1, retain=True)
            _until(client, said.is_published)
        client.disconnect()
        return entered


def _until(client: Client, done: Callable[[], bool]) -> None:
    """Drive the client here (paho's own thread would take a second to end), for as long as the broker may think."""
    end = time.monotonic() + _ANSWER
    while not done() and time.monotonic() < end:
        if client.loop(0.02) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return


def _signal(pid_file: str) -> None:
    if not pid_file:
        return
    try:
        os.kill(int(Path(pid_file).read_text()), signal.SIGHUP)
    except (OSError, ValueError) as error:
        _log.warning("the broker can't be signalled through %s: %s", pid_file, error)
