"""wpa_supplicant's configuration for one network (wpa_supplicant.conf(5))."""

from __future__ import annotations

import re

from probe.appliance.settings import Wifi

DEFAULT_COUNTRY = "00"
"""The world's regulatory domain: what is allowed everywhere."""


def configuration(wifi: Wifi) -> str:
    """The file's text. The name goes in hexadecimal, so that nothing in it can be taken for syntax.

    A password of 64 hexadecimal digits is the key itself, as Raspberry Pi Imager writes it. Raises ValueError for one
    that WPA can't have: 8 to 63 printable ASCII characters.
    """
    if re.fullmatch("[0-9a-fA-F]{64}", wifi.password):
        key = f"psk={wifi.password}\n  key_mgmt=WPA-PSK WPA-PSK-SHA256"
    elif wifi.password:
        if not re.fullmatch("[ -~]{8,63}", wifi.password):
            raise ValueError("a Wi-Fi password has 8 to 63 plain characters")
        # Up to the line's last quotation mark: those inside need no escape.
        secrets = f'psk="{wifi.password}"\n  sae_password="{wifi.password}"'
        key = f"{secrets}\n  key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n  ieee80211w=1"
    else:
        key = "key_mgmt=NONE"
    return (
        "ctrl_interface=DIR=/run/wpa_supplicant\n"
        f"country={wifi.country or DEFAULT_COUNTRY}\n"
        "network={\n"
        f"  ssid={wifi.ssid.encode().hex()}\n"
        f"  scan_ssid={int(wifi.hidden)}\n"
        f"  {key}\n"
        "}\n"
    )
