"""A configuration that can't work is refused at the start, with the option's name."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.collector.notify.mail import Mail
from probe.collector.notify.setup import subscriptions
from probe.collector.notify.web import Ntfy, Webhook
from probe.model.config import CollectorConfig
from probe.model.errors import ConfigError


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text(f"whsec_{base64.b64encode(b'k' * 32).decode()}\n")
    return str(path)


HOOK = {"kind": "webhook", "name": "a", "url": "https://a.example/x"}
MAIL = {"kind": "email", "name": "b", "to": ["ed@a.example"], "sender": "c@a.example", "server": "mail.example"}
NTFY = {"kind": "ntfy", "name": "c", "url": "https://ntfy.example/colibri"}


def made(*tables: dict[str, Any]) -> list[Any]:
    config = msgspec.convert({"notify": list(tables)}, CollectorConfig)
    return [one.courier for one in subscriptions(config.notify)]


def test_one_of_each_kind(secret: str) -> None:
    couriers = made({**HOOK, "secret_file": secret}, MAIL, NTFY, {**NTFY, "name": "d", "token_file": secret})
    assert [type(one) for one in couriers] == [Webhook, Mail, Ntfy, Ntfy]


def test_nobody_to_tell() -> None:
    assert made() == []


def test_on_this_machine_nothing_needs_tls(secret: str) -> None:
    local = {"url": "http://127.0.0.1:8000/x"}
    couriers = made(
        {**HOOK, **local, "secret_file": secret},
        {**NTFY, "url": "http://localhost/t"},
        {**MAIL, "tls": "none", "server": "::1"},
    )
    assert len(couriers) == 3


@pytest.mark.parametrize(
    ("table", "where", "what"),
    [
        ({**HOOK, "url": "http://a.example/x"}, "url", "without TLS"),
        ({**HOOK, "url": "https://u:p@a.example/x"}, "url", "user name"),
        ({**HOOK, "url": "a.example"}, "url", "no URL"),
        ({**NTFY, "url": "https://ntfy.example/"}, "url", "no topic"),
        ({**NTFY, "url": "http://ntfy.example/t"}, "url", "without TLS"),
        ({**NTFY, "token_file": "/nonexistent/token"}, "token_file", "No such file"),
        ({**MAIL, "to": ["ed@a.example", "nobody at all"]}, r"to\[1\]", "no e-mail address"),
        ({**MAIL, "sender": "x\r\nBcc: y"}, "sender", "no e-mail address"),
        ({**MAIL, "sender": ""}, "sender", "no e-mail address"),
        ({**MAIL, "tls": "none"}, "tls", "not this machine"),
        ({**MAIL, "tls": "none", "server": "127.0.0.1", "username": "u"}, "username", "never sent without TLS"),
        ({**MAIL, "username": "u"}, "password_file", "missing"),
        ({**MAIL, "ca": "/nonexistent/ca.pem"}, "ca", "No such file"),
    ],
)
def test_what_can_not_work_is_refused(table: dict[str, Any], where: str, what: str, secret: str) -> None:
    if table["kind"] == "webhook":
        table = {**table, "secret_file": secret}
    with pytest.raises(ConfigError, match=rf"^collector\.notify\[0\]\.{where}: .*{what}"):
        made(table)


def test_a_file_that_holds_no_certificate(secret: str) -> None:
    with pytest.raises(ConfigError, match=r"collector\.notify\[0\]\.ca: "):
        made({**MAIL, "ca": secret})


def test_two_of_one_name_would_share_a_memory() -> None:
    with pytest.raises(ConfigError, match=r"collector\.notify\[1\]\.name: 'c' is the name of another one"):
        made(NTFY, {**NTFY, "url": "https://ntfy.example/other"})
