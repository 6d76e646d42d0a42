"""E-mail, against a real server: TLS that is checked, both forms of the text, what is refused and what is repeated."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.collector.notify.changes import Change
from probe.collector.notify.mail import Mail, composed
from probe.collector.notify.message import Notification, notifications
from probe.model.config import EmailConfig
from tests.collector.notify.cases import NOW, row, subscription
from tests.collector.notify.postoffice import PostOffice, open_office


def one(*changes: Change, **config: Any) -> Notification:
    return notifications(subscription(**config), changes or [Change("opened", row())], "https://monitor.example", NOW)[
        0
    ]


def settings(**changes: Any) -> EmailConfig:
    fields = {"name": "n", "to": ["ed@press.example"], "sender": "colibri@monitor.example", "server": "127.0.0.1"}
    return msgspec.convert({**fields, "kind": "email", **changes}, EmailConfig)


def deliver(office: PostOffice, folder: Path, *, trusted: bool = True, password: str = "", **changes: Any) -> str:
    context = ssl.create_default_context(cafile=str(folder / "post-office.pem") if trusted else None)
    mail = Mail(settings(port=office.port, **changes), password, context)
    return asyncio.run(mail.deliver(one(), NOW))


@pytest.mark.loopback
@pytest.mark.parametrize("tls", ["starttls", "tls", "none"])
def test_it_arrives_whole(tmp_path: Path, tls: str) -> None:
    with open_office(tmp_path, tls) as office:
        assert deliver(office, tmp_path, tls=tls, to=["ed@press.example", "b@press.example"]) == ""
    ((recipients, message),) = office.mail
    assert recipients == ["ed@press.example", "b@press.example"]
    assert message["Subject"] == one().title
    assert message["Message-ID"] == f"<{one().id}@monitor.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.timestamp() == NOW / 1000
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert plain.get_content().splitlines() == one().text.splitlines()
    assert "Algérie Télécom" in html.get_content()


@pytest.mark.loopback
def test_a_login_only_inside_tls(tmp_path: Path) -> None:
    with open_office(tmp_path, "starttls") as office:
        assert deliver(office, tmp_path, username="u", password="p") == ""
    assert office.logins == ["\0u\0p"]


@pytest.mark.loopback
def test_a_server_with_the_wrong_certificate_is_told_nothing(tmp_path: Path) -> None:
    with open_office(tmp_path, "starttls") as office:
        assert "certificate verify failed" in deliver(office, tmp_path, trusted=False, username="u", password="p")
        assert (office.mail, office.logins) == ([], [])


@pytest.mark.loopback
def test_a_server_that_has_no_tls_is_told_nothing(tmp_path: Path) -> None:
    with open_office(tmp_path, "none") as office:
        assert "STARTTLS" in deliver(office, tmp_path)
        assert office.mail == []


@pytest.mark.loopback
def test_refusals_are_reasons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_office(tmp_path, "none") as office:
        office.refuse = {"b@press.example"}
        assert deliver(office, tmp_path, tls="none", to=["b@press.example"]) == (
            "mail server: b@press.example: 550 nobody here"
        )
        assert office.mail == []
        with caplog.at_level(logging.WARNING):
            assert deliver(office, tmp_path, tls="none", to=["b@press.example", "ed@press.example"]) == ""
        assert "b@press.example: 550 nobody here" in caplog.text
        assert [recipients for recipients, _ in office.mail] == [["ed@press.example"]], (
            "who has it is not sent it again"
        )
        office.say = {"MAIL": "451 later, please"}
        assert deliver(office, tmp_path, tls="none") == "mail server: 451 later, please"


@pytest.mark.loopback
def test_nobody_there(tmp_path: Path) -> None:
    with open_office(tmp_path, "none") as office:
        port = office.port
    mail = Mail(settings(tls="none", port=port), "", ssl.create_default_context())
    assert "refused" in asyncio.run(mail.deliver(one(), NOW))


def test_whatever_a_name_holds_it_stays_inside() -> None:
    evil = row(target="x\r\nBcc: all@example\r\n\r\n<script>alert(1)</script>")
    message = composed(settings(), one(Change("opened", evil)), NOW)
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    body = message.get_body(("html",))
    assert body is not None
    assert "<script>" not in body.get_content()
    assert "&lt;script&gt;" in body.get_content()


def test_a_link_can_be_followed_and_arabic_runs_from_the_right() -> None:
    english = composed(settings(), one(), NOW).get_body(("html",))
    assert english is not None
    link = "https://monitor.example/en/incident/00000000000000aa"
    assert f'<a href="{link}">{link}</a>' in english.get_content()
    assert '<html lang="en" dir="ltr">' in english.get_content()
    arabic = composed(settings(), one(language="ar"), NOW)
    body = arabic.get_body(("html",))
    assert body is not None
    assert '<html lang="ar" dir="rtl">' in body.get_content()
    assert arabic["Content-Language"] == "ar"


def test_a_title_that_no_header_can_hold_is_trouble_and_no_crash() -> None:
    mail = Mail(settings(sender="no address"), "", ssl.create_default_context())
    assert "can't be written" in asyncio.run(mail.deliver(one(), NOW))
