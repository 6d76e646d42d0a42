"""The messages of colibri.reflector/1 survive their JSON, and say what they are."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from probe.model.reflector import Answer, Arrived, Echo, Grant, Hello, Request, Transfer


def test_every_message_has_a_word_of_its_own() -> None:
    kinds = [*get_args(Request), *get_args(Answer)]
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)
    assert {kind.__struct_config__.tag_field for kind in kinds} == {"do"}


def test_a_small_message_is_small() -> None:
    assert msgspec.json.encode(Hello()) == b'{"do":"hello"}'
    assert msgspec.json.encode(Arrived(counts=(1, 0))) == b'{"do":"arrived","counts":[1,0]}'


def test_a_grant_survives_its_json() -> None:
    grant = Grant(token="00" * 12, udp=(53, 47474), random=(47474,), silent=("203.0.113.1",), raw=True)
    assert msgspec.json.decode(msgspec.json.encode(grant), type=Answer) == grant


@pytest.mark.parametrize(
    "text",
    [
        '{"do":"transfer","seconds":0}', '{"do":"transfer","seconds":61}', '{"do":"transfer","kilobytes":65536}',
        '{"do":"transfer","direction":"sideways"}', '{"do":"echo","tos":256}', '{"do":"what"}', "{}",
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_no_request(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Request)


def test_a_transfer_is_bounded_by_itself() -> None:
    assert Transfer().kilobytes <= 1000
    assert Transfer().seconds <= 10
    assert Echo().tos == 0
