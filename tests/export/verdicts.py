"""The verdict that OONI's own rules come to, computed from what was exported and not from its verdict keys."""

from __future__ import annotations

from typing import Any

from probe.model.finding import Finding


def by_their_rules(keys: dict[str, Any]) -> set[str | bool]:
    """What ts-017 ("Reason for blocking") makes of ``web_connectivity``, trial by trial: False is accessible.

    Only ``queries``, ``tcp_connect``, ``requests``, ``tls_handshakes`` and ``control`` are looked at.
    """
    control = keys["control"]
    found: set[str | bool] = set()
    known = set(control["dns"]["addrs"]) if control["dns"] else set()
    if known:  # a certificate of the name's own makes an address consistent
        shown = [one["address"] for one in keys["tls_handshakes"] if one["failure"] is None]
        known |= {address.removesuffix(":443").strip("[]") for address in shown}
    for query in keys["queries"]:
        got = {answer.get("ipv4") or answer.get("ipv6") for answer in query["answers"] or []} - {None}
        found.add(False if (got & known if known else not got) else "dns")
    served = all(one["status"] for one in control["tcp_connect"].values())
    answered = (control["http_request"] or {"failure": None})["failure"] is None
    answered &= all(one["status"] for one in control["tls_handshake"].values())
    for dialled in keys["tcp_connect"]:
        number = dialled["transaction_id"]
        tried = [one for one in (*keys["requests"], *keys["tls_handshakes"]) if one["transaction_id"] == number]
        if not dialled["status"]["success"]:
            found.add("tcp_ip" if served else False)
        else:
            failed = any(one["failure"] is not None for one in tried)
            found.add("http-failure" if failed and answered else False)
    return found


def agree(finding: Finding, measurement: dict[str, Any]) -> None:
    """Assert that OONI's verdict is the finding's, wherever the test that it became has one."""
    keys = measurement["test_keys"]
    interfered = finding.verdict == "interfered"
    if measurement["test_name"] == "web_connectivity":
        expected = {
            "interfered": (keys["blocking"], False), "clean": (False, keys["accessible"]), "down": (False, False),
            "inconclusive": (None, None),
        }  # fmt: skip
        assert (keys["blocking"], keys["accessible"]) == expected[finding.verdict], finding
        assert isinstance(keys["blocking"], str) is interfered, finding
        assert finding.verdict != "clean" or keys["accessible"] is not False, finding
        # A page that was replaced shows in its text, which a finding does not keep.
        if finding.verdict != "inconclusive" and keys["blocking"] != "http-diff":
            assert keys["blocking"] in by_their_rules(keys), finding
    elif measurement["test_name"] == "http_header_field_manipulation":
        changed = any(value for key, value in keys["tampering"].items() if key != "header_name_diff")
        assert changed or not interfered, finding
        assert not changed or finding.verdict != "clean", finding
    elif measurement["test_name"] == "stunreachability":
        assert (keys["failure"] is None) is (finding.verdict == "clean"), finding
    else:
        assert measurement["test_name"] == "urlgetter"
        assert "blocking" not in keys
