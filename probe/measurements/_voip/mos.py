"""How a call would sound: the E-model (ITU-T G.107) for G.711, from loss, its bursts and delay."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

_BASE = 93.2  # R of a call that nothing impairs, all of G.107's parameters at their defaults
_MOST_LOSS = 95.0  # impairment by loss approaches this
BPL, BPL_CONCEALED = 4.3, 25.1
"""Robustness of G.711 against loss, without and with concealment of lost packets (G.113, Appendix I); its Ie is 0."""
_PACKETISATION = 0.02  # seconds: a packet can't leave before its 160 samples are there


def burst_ratio(arrived: Sequence[bool]) -> float:
    """Mean length of the runs of lost packets, over what random loss of the same share would give (G.107, 3.3): 1 for
    random loss or none, more for bursts. ``arrived``: packet by packet, in the order of sending."""
    runs = [len(list(run)) for came, run in groupby(arrived) if not came]
    lost = sum(runs)
    if not lost or lost == len(arrived):
        return 1.0
    return max(1.0, lost / len(runs) * (1 - lost / len(arrived)))


def impairment_by_loss(loss: float, burst: float = 1.0, bpl: float = BPL) -> float:
    """Ie,eff of G.711 (G.107, 3.5): ``loss`` is a share, ``burst`` the burst ratio."""
    percent = 100 * loss
    return _MOST_LOSS * percent / (percent / burst + bpl) if percent else 0.0


def impairment_by_delay(delay: float) -> float:
    """Id for a delay in seconds from mouth to ear, without echo: Cole and Rosenbluth's lines through G.107's curve
    (*Voice over IP Performance Monitoring*, 2001)."""
    d = 1000 * delay
    return 0.024 * d + 0.11 * max(0.0, d - 177.3)


def rating(loss: float, burst: float, delay: float, bpl: float = BPL) -> float:
    """The transmission rating factor R, 0..93.2."""
    return max(0.0, _BASE - impairment_by_delay(delay) - impairment_by_loss(loss, burst, bpl))


def mos(r: float) -> float:
    """The mean opinion score, 1..4.5, that a rating stands for (G.107, Annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r))


def mouth_to_ear(round_trip: float, jitter: float) -> float:
    """Seconds from mouth to ear: half a round trip (the two ways can't be told apart without a common clock), the time
    that a packet's samples take, and a buffer of twice the jitter, at least one packet."""
    return round_trip / 2 + _PACKETISATION + max(_PACKETISATION, 2 * jitter)
