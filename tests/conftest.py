"""What holds for every test, in every worker that runs some of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A busy machine must not fail a test: examples are bounded in number, not by the clock. Few of them in every run, since
# each draws others; `make test-long` draws many.
settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

_MEMORY, _ROOM = "/dev/shm", 4 << 30


def pytest_configure(config: pytest.Config) -> None:
    """What tests write and nobody keeps (`make test`) goes into memory, where there is room and programs may run:
    stores wait for the disk at each commit, which on a busy machine takes longer than all else they do."""
    with contextlib.suppress(OSError):
        there = os.statvfs(_MEMORY)
        roomy = there.f_bavail * there.f_frsize >= _ROOM and not there.f_flag & os.ST_NOEXEC
        if roomy and os.access(_MEMORY, os.W_OK) and config.getini("tmp_path_retention_policy") == "failed":
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)


@pytest.fixture(autouse=True, scope="session")
def _own_runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Labs of the tests must not meet the labs of the person who runs them, nor those of another worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        yield
