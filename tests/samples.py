"""One finding with every field of contract 1, for the tests that hold the contract."""

from __future__ import annotations

from typing import Any

SAMPLE: dict[str, Any] = {
    "schema": "colibri.finding/1",
    "id": "0190a3b2-7c1d-7e2f-8a3b-4c5d6e7f8091",
    "measurement": "dns_injection",
    "version": "1",
    "probe": {"id": "probe-1", "software": "colibri 0.1.0"},
    "line": {"operator": "Example Telecom", "asn": 64500, "country": "MA", "access": "fixed"},
    "target": {"input": "blocked.example", "name": "blocked.example", "address": "", "port": 53, "group": "press"},
    "started_at": "2026-01-02T03:04:05.678Z",
    "duration_s": 2.5,
    "clock": "synchronised",
    "verdict": "interfered",
    "interference": {
        "technique": "dns_injection",
        "placement": "on_path",
        "location": {
            "clean_ttl": 3,
            "first_ttl": 4,
            "clean_hop": {"address": "198.51.100.1", "asn": 64500},
            "first_hop": None,
            "attribution": "between AS64500 and AS64501",
        },
    },
    "rule": "dns_injection/answer-from-silent-address",
    "trials": {"made": 3, "agreed": 3},
    "controls": {"made": 6, "agreed": 6},
    "confidence": 0.99,
    "reasons": ["An address that runs no resolver answered 3 of 3 times."],
    "evidence": {"packets": 12, "pcapng_sha256": "0" * 64, "exchanges": 9},
    "details": {"answers": [{"ttl": 61}]},
    "signature": {"key": "aaaa", "value": "bbbb"},
}
