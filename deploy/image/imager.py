#!/usr/bin/env python3
"""The repository file for Raspberry Pi Imager (its "Content Repository"), with the sizes and hashes of the very files.

    imager.py --image colibri-VERSION.img --version VERSION --date YYYY-MM-DD --url https://HOST/FOLDER/ >os_list.json

Fields as in Imager's ``doc/json-schema/os-list-schema.json``: sizes in bytes, SHA-256 in hexadecimal;
``extract_*`` are those of the image before compression.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

DEVICES = (
    ("Raspberry Pi 5", "Pi 5, 500, CM5", "pi5-64bit"),
    ("Raspberry Pi 4", "Pi 4B, 400, CM4", "pi4-64bit"),
    ("Raspberry Pi 3", "Pi 3B, 3B+, 3A+, CM3", "pi3-64bit"),
    ("Raspberry Pi Zero 2 W", "Zero 2 W", "pi3-64bit"),
)
TAGS = tuple(dict.fromkeys(tag for _, _, tag in DEVICES))
DESCRIPTION = "Network probe: measures what an internet operator does to a line (Debian 13, 64-bit)"


def sha256(path: Path) -> str:
    """The file's hash, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def repository(image: Path, packed: Path, version: str, date: str, url: str) -> dict[str, Any]:
    """The document. ``packed``: the image compressed; both will lie at ``url`` (with a final /)."""
    return {
        "imager": {
            "devices": [
                {"name": name, "description": words, "tags": [tag], "matching_type": "exclusive"}
                for name, words, tag in DEVICES
            ],
        },
        "os_list": [
            {
                "name": f"Colibri {version}",
                "description": DESCRIPTION,
                "icon": f"{url}colibri-40x40.png",
                "url": f"{url}{packed.name}",
                "extract_size": image.stat().st_size,
                "extract_sha256": sha256(image),
                "image_download_size": packed.stat().st_size,
                "image_download_sha256": sha256(packed),
                "release_date": date,
                "init_format": "rpi-preseed",
                "architecture": "armv8",
                "devices": [*TAGS],
                "website": url,
            },
        ],
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--version", "--date", "--url"):
        parser.add_argument(name, required=True)
    parser.add_argument("--image", type=Path, required=True)
    given = parser.parse_args()
    if not given.url.endswith("/"):
        parser.error("--url must end with /")
    packed = given.image.with_name(given.image.name + ".xz")
    json.dump(repository(given.image, packed, given.version, given.date, given.url), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
