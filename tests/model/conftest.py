"""A busy machine must not fail a test: examples are bounded in number, not by the clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
