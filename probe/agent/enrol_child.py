"""Enrols in a process of its own: ``python -m probe.agent.enrol_child first|renew FOLDER``.

What makes keys and talks HTTP takes 12 MB that the daemon would never give back, for something that it does once in
twenty days. The ``[enrol]`` section comes on stdin as JSON, what came of it is printed as JSON.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from probe.agent.child import command, environment
from probe.agent.enrol import Enrolment, RefusedError
from probe.agent.enrol_files import EnrolFiles
from probe.model.config import EnrolConfig
from probe.model.enrol import Enrolled, Refusal
from probe.model.errors import ColibriError

_WITHIN = 180.0  # seconds: three requests of 30 s at the most, and a key, on a slow board


class Said(msgspec.Struct, frozen=True):
    """What came of it: one of the three."""

    answer: Enrolled | None = None
    refusal: Refusal | None = None
    trouble: str = ""


class Apart(Enrolment):
    """An enrolment whose two requests are made by a process of their own.

    They raise RefusedError, and ColibriError for all else that went wrong.
    """

    def __init__(self, config: EnrolConfig, folder: str | Path) -> None:
        """``folder``: ``[probe] state_dir``."""
        super().__init__(config, EnrolFiles(folder))
        self._folder = folder

    def first(self) -> Enrolled:
        """As :meth:`Enrolment.first`."""
        return self._ask("first")

    def renew(self) -> Enrolled:
        """As :meth:`Enrolment.renew`."""
        return self._ask("renew")

    def _ask(self, what: str) -> Enrolled:
        try:
            done = subprocess.run(
                command("probe.agent.enrol_child", what, str(self._folder)), env=environment(),
                input=msgspec.json.encode(self._config), stdout=subprocess.PIPE, timeout=_WITHIN, check=False,
            )  # fmt: skip
            said = msgspec.json.decode(done.stdout, type=Said)
        except subprocess.TimeoutExpired:
            raise ColibriError(f"enrolling takes longer than {_WITHIN:.0f} s") from None
        except msgspec.DecodeError:
            raise ColibriError(f"enrolling ended with status {done.returncode}") from None
        if said.refusal is not None:
            raise RefusedError(said.refusal)
        if said.answer is None:
            raise ColibriError(said.trouble)
        return said.answer


def main(arguments: list[str]) -> int:
    """Do what is asked; the exit status: 0, whatever came of it."""
    what, folder = arguments
    enrolment = Enrolment(msgspec.json.decode(sys.stdin.buffer.read(), type=EnrolConfig), EnrolFiles(folder))
    try:
        said = Said(answer=enrolment.first() if what == "first" else enrolment.renew())
    except RefusedError as refused:
        said = Said(refusal=refused.refusal)
    except (ColibriError, OSError) as error:
        said = Said(trouble=str(error) or type(error).__name__)
    sys.stdout.buffer.write(msgspec.json.encode(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
