"""Webhooks and ntfy, against a real server: what is sent, how it is signed, what counts as taken."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.notify.changes import Change
from probe.collector.notify.message import Notification, notifications
from probe.collector.notify.web import Ntfy, Webhook, published, server_and_topic, signed
from probe.model.config import NtfyConfig, WebhookConfig
from tests.collector.notify.cases import NOW, row, subscription
from tests.collector.web import Reply, serving

KEY = b"k" * 32


def one(kind: str = "opened", **config: object) -> Notification:
    change = msgspec.convert({"kind": kind, "row": row()}, Change)
    return notifications(subscription(**config), [change], "https://monitor.example", NOW)[0]


def test_the_signature_is_that_of_the_specification_s_example() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.loopback
def test_a_webhook_is_json_that_its_receiver_can_check() -> None:
    with serving(lambda _: (204, {}, b"")) as web:
        hook = Webhook(WebhookConfig(name="n", url=f"{web.url}/hook", secret_file=""), KEY)
        assert asyncio.run(hook.deliver(one(), NOW)) == ""
    (asked,) = web.asked
    assert (asked.method, asked.path, asked.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert asked.headers["webhook-timestamp"] == str(NOW // 1000)
    content = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    expected = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == f"v1,{expected}"
    heard = msgspec.json.decode(asked.body, type=Notification)
    assert heard == one()
    assert heard.id == asked.headers["webhook-id"]


@pytest.mark.loopback
@pytest.mark.parametrize("reply", [(500, {}, b""), (404, {}, b""), (301, {"location": "/elsewhere"}, b""), b""])
def test_what_is_not_taken_is_said_without_the_address(reply: Reply) -> None:
    with serving(lambda _: reply) as web:
        hook = Webhook(WebhookConfig(name="n", url=f"{web.url}/secret-path", secret_file=""), KEY)
        trouble = asyncio.run(hook.deliver(one(), NOW))
    assert trouble
    assert "secret-path" not in trouble
    assert len(web.asked) == 1, "a redirect is not followed: who gets it was written down"


@pytest.mark.loopback
def test_ntfy_gets_title_text_and_urgency() -> None:
    with serving(lambda _: (200, {}, b"{}")) as web:
        ntfy = Ntfy(NtfyConfig(name="n", url=f"{web.url}/base/colibri"), "tk_1")
        assert asyncio.run(ntfy.deliver(one(), NOW)) == ""
    (asked,) = web.asked
    assert (asked.method, asked.path) == ("POST", "/base/")
    assert asked.headers["authorization"] == "Bearer tk_1"
    body = msgspec.json.decode(asked.body)
    assert body["topic"] == "colibri"
    assert body["title"] == "Interference has begun: 196.20.66.10 on Algérie Télécom"
    assert body["message"] == one().text
    assert (body["tags"], body["priority"]) == (["no_entry"], 4)
    assert body["click"] == "https://monitor.example/en/incident/00000000000000aa"


@pytest.mark.loopback
def test_without_a_token_none_is_sent() -> None:
    with serving(lambda _: (200, {}, b"{}")) as web:
        asyncio.run(Ntfy(NtfyConfig(name="n", url=f"{web.url}/colibri"), "").deliver(one(), NOW))
    assert "authorization" not in web.asked[0].headers


def test_a_digest_has_the_urgency_of_its_most_urgent_and_no_single_link() -> None:
    changes = [Change("closed", row("a", closed=True)), Change("opened", row("b", target="b.example"))]
    (digest,) = notifications(subscription(digest=1), changes, "https://monitor.example", NOW)
    body = published(digest, "t")
    assert (body["tags"], body["priority"]) == (["no_entry"], 4)
    assert "click" not in body


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=900), min_size=1, max_size=12))
def test_a_long_text_is_cut_at_a_line_and_stays_text(lines: list[str]) -> None:
    text = "\n".join(lines)
    shown = published(msgspec.structs.replace(one(), text=text), "t")["message"]
    assert isinstance(shown, str)
    assert len(shown.encode()) <= 3810
    assert shown == text or (shown.endswith("\n…") and text.startswith(shown.removesuffix("\n…")))


@pytest.mark.parametrize(
    ("url", "server", "topic"),
    [("https://a.example/t", "https://a.example/", "t"), ("https://a.example:8/x/t/", "https://a.example:8/x/", "t"),
     ("https://a.example", "https://a.example/", ""), ("https://a.example/", "https://a.example/", "")],
)  # fmt: skip
def test_the_server_and_the_topic(url: str, server: str, topic: str) -> None:
    assert server_and_topic(url) == (server, topic)
