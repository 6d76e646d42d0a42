from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.wire.mask import mask_addresses


@pytest.mark.parametrize(("page", "masked"), [
    (b"<p>Your address 203.0.113.5 is", b"<p>Your address 000.0.000.0 is"),
    (b"ip=203.0.113.5.", b"ip=000.0.000.0."),
    (b"host 203-0-113-5.adsl.example", b"host 000-0-000-0.adsl.example"),
    (b"[2001:db8::5] at 12:34:56", b"[0000:000::0] at 12:34:56"),
    (b"IP:2001:db8::5:443", b"IP:0000:000::0:000"),
    (b"x fe80::1 y", b"x 0000::0 y"),
    (b"cut 2001:db8:1", b"cut 0000:000:0"),
    (b"::ffff:203.0.113.5;", b"::0000:000.0.000.0;"),
    (b"jquery-1.2.3.js std::map a::before 1,234.5 HTTP/1.1 x",
     b"jquery-1.2.3.js std::map a::before 1,234.5 HTTP/1.1 x"),
    (b"keep 192.0.2.80 and 2001:DB8::80 !", b"keep 192.0.2.80 and 2001:DB8::80 !"),
    (b"more 7-192.0.2.80 than 203.0.113.5.7", b"more 0-000.0.0.00 than 000.0.000.0.0"),
    (b"cut at the end 203.0.11", b"cut at the end 000.0.00"),
    (b".113.5 cut before", b".000.0 cut before"),
])
def test_mask(page: bytes, masked: bytes) -> None:
    assert mask_addresses(page, {"192.0.2.80", "2001:db8::80"}) == masked


PARTS = [b"203.0.113.5", b"1.2.3.4", b" ", b".", b":", b"::", b"a", b"7", b"-", b"fe80::1", b"\xff"]


@example([b"7", b"-", b"1.2.3.4", b":", b"::"])
@given(st.lists(st.sampled_from(PARTS)))
def test_length_stays_and_twice_is_once(parts: list[bytes]) -> None:
    page = b"".join(parts)
    once = mask_addresses(page, {"1.2.3.4"})
    assert len(once) == len(page)
    assert mask_addresses(once, {"1.2.3.4"}) == once


HOMES = st.ip_addresses(v=4) | st.ip_addresses(network="2000::/3") | st.ip_addresses(network="fe80::/16")


@given(HOMES, st.sampled_from(["<b>", "ip=", "'", " ", "IP:"]), st.sampled_from(["</b>", "&", "'", " ", "", ". "]))
def test_no_literal_gets_through(address: object, before: str, after: str) -> None:
    text = str(address)
    masked = mask_addresses(f"HTTP {before}{text}{after} end".encode(), ())
    literal = masked[5 + len(before) : 5 + len(before) + len(text)]
    assert not set(literal) - set(b"0.:")
