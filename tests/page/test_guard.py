"""Who may ask: the home and nobody else, by the device's own name, with a form of the page's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.page.guard import address, at_home, host_allowed, own_form


@pytest.mark.parametrize(
    "peer",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.2", "169.254.7.7", "::1", "fe80::1%eth0",
     "fd12::1", "::ffff:192.168.1.2"],
)  # fmt: skip
def test_the_home_may(peer: str) -> None:
    assert at_home(peer)


@pytest.mark.parametrize(
    "peer",
    ["203.0.113.7", "8.8.8.8", "172.32.0.1", "100.64.0.1", "192.169.0.1", "0.0.0.0", "224.0.0.1", "2001:db8::1",
     "2002:c0a8:0102::1", "64:ff9b::192.168.1.2", "::ffff:8.8.8.8", "::", "", "colibri.local",
     "192.168.1.2.evil.example"],
)  # fmt: skip
def test_the_internet_may_not(peer: str) -> None:
    assert not at_home(peer)


@given(st.ip_addresses())
def test_no_global_address_is_at_home(peer: object) -> None:
    found = address(str(peer))
    if found.is_global:
        assert not at_home(str(peer))


@pytest.mark.parametrize(
    "host",
    ["colibri.local", "Colibri.Local", "colibri-2.local", "colibri.local:80", "localhost", "localhost:8081", "mypi",
     "mypi.local", "192.168.1.9", "192.168.1.9:80", " colibri.local "],
)  # fmt: skip
def test_names_of_the_device(host: str) -> None:
    assert host_allowed(host, "192.168.1.9", "mypi")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "colibri.local.evil.example", "colibri.evil.example", "evilcolibri.local", "colibri.local:x",
     "colibri.local:80:80", "192.168.1.8", "192.168.1.9.evil.example", "[::1]", "mypi.evil.example", "colibri.local.",
     "colibri-9999.local", "user@colibri.local", "colibri.local/", "0", "3232235785", "[", "[]", "*", "\x00"],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_not_one(host: str) -> None:
    assert not host_allowed(host, "192.168.1.9", "mypi")


def test_ipv6_addresses_in_brackets() -> None:
    assert host_allowed("[fe80::9]", "fe80::9%eth0", "mypi")
    assert host_allowed("[fd00::9]:80", "fd00::9", "mypi")
    assert not host_allowed("[fd00::8]:80", "fd00::9", "mypi")
    assert host_allowed("192.168.1.9", "::ffff:192.168.1.9", "mypi")


@pytest.mark.parametrize("hostname", ["", "evil.example", "-", "*", "a_b"])
def test_an_odd_host_name_opens_nothing(hostname: str) -> None:
    assert not host_allowed("evil.example", "192.168.1.9", hostname)
    assert not host_allowed(".local", "192.168.1.9", hostname)


@given(st.text(max_size=60))
def test_any_host_header_is_judged(host: str) -> None:
    if host_allowed(host, "192.168.1.9", "mypi"):
        assert "evil" not in host


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"origin": "http://colibri.local"}, {"origin": "HTTP://Colibri.local", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)  # fmt: skip
def test_a_form_of_the_page(headers: dict[str, str]) -> None:
    assert own_form({"host": "colibri.local", **headers})


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "https://colibri.local"}, {"origin": ""},
        {"origin": "http://colibri.local:81"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"origin": "http://colibri.local", "sec-fetch-site": "cross-site"},
    ],
)  # fmt: skip
def test_a_form_of_another_site(headers: dict[str, str]) -> None:
    assert not own_form({"host": "colibri.local", **headers})
