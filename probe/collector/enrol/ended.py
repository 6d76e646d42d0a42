"""Ends the sessions of certificates that have ended: a broker looks at their dates when somebody connects, never again.

Whoever connects under a name that is in use takes the other's place, as in `revoke`; and with a certificate that has
ended nobody comes back. A probe that is only late renews, which needs no broker, and connects with the next one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from probe.collector.enrol.authority import Authority
from probe.collector.enrol.desk import BROKER_PORT
from probe.collector.enrol.register import Register
from probe.collector.enrol.revoke import Pass
from probe.model.config import EnrolmentConfig
from probe.model.errors import ColibriError

_log = logging.getLogger(__name__)

LOOK = 600.0
"""Seconds between two looks: so long may a session outlive its certificate."""
MOST = 200
"""Sessions that one look ends: a new server of many old probes is not held up by them."""


def look(config: EnrolmentConfig, authority: Authority, at: int) -> list[str]:
    """End the sessions of all whose newest certificate ended before ``at`` (ms), once for each; their names.

    The broker is looked for where probes are told that it is. What goes wrong is logged and tried again next time.
    """
    done: list[str] = []
    try:
        register = Register(Path(config.folder))  # one of its own: the desk's is another thread's
        try:
            for name, ends in register.ended(at)[:MOST]:
                _cut(config, authority, name)
                with register.writing():
                    register.mark_cut(name, ends)
                done.append(name)
        finally:
            register.close()
    except (ColibriError, OSError) as error:
        _log.warning("sessions of certificates that have ended may still stand: %s", error)
    if done:
        _log.info("certificates have ended, and their sessions with them: %s", ", ".join(done))
    return done


def _cut(config: EnrolmentConfig, authority: Authority, name: str) -> None:
    trouble = ColibriError("no name of the broker is configured (collector.enrol.names)")
    for host in config.names:  # the first may lead nowhere from here (no hairpin)
        try:
            if Pass(authority, name).enters(host, config.broker_port or BROKER_PORT, authority, last_words=True):
                return
            trouble = ColibriError(f"the broker at {host} does not let {name} in to end its session")
        except ColibriError as error:
            trouble = error
    raise trouble
