"""Resolvers that anyone may choose: what they withhold is no operator's doing.

From the providers' own pages, as of November 2025. The list only ever makes verdicts milder.
"""

from __future__ import annotations

import ipaddress

_PROVIDERS: dict[str, tuple[str, ...]] = {
    "Google": ("8.8.8.8/32", "8.8.4.4/32", "2001:4860:4860::/48"),
    "Cloudflare": ("1.1.1.0/24", "1.0.0.0/24", "2606:4700:4700::/48"),
    "Quad9": ("9.9.9.0/24", "149.112.112.0/24", "149.112.149.0/24", "2620:fe::/48"),
    "OpenDNS": ("208.67.220.0/22", "146.112.41.0/24", "2620:119::/32", "2620:0:ccc::/48", "2620:0:ccd::/48"),
    "AdGuard": ("94.140.14.0/23", "2a10:50c0::/32"),
    "CleanBrowsing": ("185.228.168.0/23", "2a0d:2a00::/29"),
    "NextDNS": ("45.90.28.0/22", "2a07:a8c0::/31"),
    "Control D": ("76.76.2.0/24", "76.76.10.0/24", "2606:1a40::/32"),
    "Yandex": ("77.88.8.0/24", "2a02:6b8::feed:0/112"),
    "DNS4EU": ("86.54.11.0/24", "2a13:1001::/32"),
    "DNS.SB": ("185.222.222.0/24", "45.11.45.0/24", "2a09::/48", "2a11::/48"),
    "Mullvad": ("194.242.2.0/24", "2a07:e340::/32"),
    "Verisign": ("64.6.64.6/32", "64.6.65.6/32", "2620:74:1b::/48", "2620:74:1c::/48"),
    "Comodo": ("8.26.56.0/24", "8.20.247.0/24"),
    "Neustar": ("156.154.70.0/24", "156.154.71.0/24", "2610:a1:1018::/48", "2610:a1:1019::/48"),
    "Hurricane Electric": ("74.82.42.42/32", "2001:470:20::/48"),
    "Lumen": ("4.2.2.0/24", "209.244.0.0/24"),
    "AliDNS": ("223.5.5.0/24", "223.6.6.0/24", "2400:3200::/32"),
    "DNSPod": ("119.29.29.0/24", "2402:4e00::/32"),
    "114DNS": ("114.114.112.0/21",),
}
_NETWORKS = tuple((ipaddress.ip_network(text), name) for name, texts in _PROVIDERS.items() for text in texts)


def provider(address: str) -> str:
    """Whose public resolver an address is; "" if it is none that is known."""
    ip = ipaddress.ip_address(address)
    return next((name for network, name in _NETWORKS if network.version == ip.version and ip in network), "")
