"""Dates of certificates, on a device whose clock may be wrong by years (a Pi has none while the power is off)."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from probe.engine.clock import synchronised as clock_is_right

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (OpenSSL): dates of certificates are not looked at; names and signatures are."""


def forgive_dates(context: ssl.SSLContext, synchronised: Callable[[], bool] = clock_is_right) -> None:
    """Look at no dates while the clock is not synchronised. Only for a context that trusts an authority of our own:
    it vouches for a handful of servers, and a stolen key of an old one is all that this lets in."""
    if not synchronised():
        context.verify_flags |= NO_CHECK_TIME
