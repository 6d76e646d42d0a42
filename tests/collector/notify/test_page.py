"""docs/notifications.md is what the program does: options, example, and the check of a signature."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe.agent.options import options
from probe.collector.notify.changes import Change
from probe.collector.notify.message import Notification, notifications
from probe.collector.notify.web import signed
from probe.model.config import Config, EmailConfig, NtfyConfig, WebhookConfig
from tests.collector.notify.cases import NOW, row, subscription

PAGE = (Path(__file__).parents[3] / "docs/notifications.md").read_text()


@pytest.mark.parametrize("kind", [WebhookConfig, EmailConfig, NtfyConfig])
def test_every_option_stands_there(kind: type[Any]) -> None:
    rows = [f"| `{name}` | `{default}` | {words} |" for name, _, default, words in options(kind)]
    assert len(rows) > 10
    assert [line for line in rows if line not in PAGE] == []


def test_the_example_is_a_configuration() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    config = msgspec.convert(tomllib.loads(block), Config)
    assert [type(one) for one in config.collector.notify] == [EmailConfig, WebhookConfig, NtfyConfig]


def test_the_message_is_a_real_one() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    change = Change("opened", row())
    (real,) = notifications(subscription(name="status-page"), [change], "https://monitor.example", NOW)
    assert msgspec.json.decode(block) == msgspec.json.decode(msgspec.json.encode(real))
    assert msgspec.json.decode(block, type=Notification) == real


def test_the_check_of_a_signature_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    space: dict[str, Any] = {}
    exec(program, space)  # noqa: S102 - that is what the page is for
    genuine: Callable[..., bool] = space["genuine"]
    monkeypatch.setattr("time.time", lambda: 1000.0)
    headers = signed(b"k" * 32, "id", 900, b"{}")
    secret = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    assert genuine(headers, b"{}", secret)
    assert not genuine(headers, b"{ }", secret)
    assert not genuine(headers, b"{}", "whsec_" + "A" * 44)
    assert not genuine(signed(b"k" * 32, "id", 600, b"{}"), b"{}", secret)
