"""Which code is behind which kind of box that looks into packets."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from probe.lab.boxes import Inspector
from probe.lab.boxes.alg import Gateway
from probe.lab.boxes.inspect import DnsForger, PageForger, Resetter, Swallower
from probe.lab.boxes.recognise import Recogniser
from probe.lab.boxes.rewrite import Rewriter
from probe.lab.boxes.shape import LineLimit, Throttler
from probe.lab.kinds import (
    BlockPage,
    DnsInjector,
    Drop,
    Inspecting,
    Line,
    Recognise,
    ResetInjector,
    Rewrite,
    SipAlg,
    Throttle,
)  # fmt: skip


def make(spec: Inspecting, random: Random, now: Callable[[], float]) -> Inspector:
    """The inspector of a box; ``now`` gives seconds that never go back."""
    match spec:
        case DnsInjector():
            return DnsForger(spec, random)
        case ResetInjector():
            return Resetter(spec, random)
        case BlockPage():
            return PageForger(spec, random)
        case Drop():
            return Swallower(spec, now)
        case Recognise():
            return Recogniser(spec, random, now)
        case Throttle():
            return Throttler(spec, random, now)
        case Line():
            return LineLimit(spec, random, now)
        case Rewrite():
            return Rewriter(spec, random)
        case SipAlg():
            return Gateway(spec)
