"""Certificates' dates count where the clock is right, and only there."""

from __future__ import annotations

import ssl

import pytest

from probe.agent.tls_dates import NO_CHECK_TIME, forgive_dates


@pytest.mark.parametrize("synchronised", [True, False])
def test_dates_are_looked_at_where_the_clock_is_right(synchronised: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    before = context.verify_flags
    forgive_dates(context, lambda: synchronised)
    assert bool(context.verify_flags & NO_CHECK_TIME) is not synchronised
    assert context.verify_flags & ~NO_CHECK_TIME == before
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
