"""What ends a command: its exit code, and one sentence with what to do next."""

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. They stay what they are."""

    FINE = 0
    FAILED = 1
    """What was asked about is not as it should be: a job failed, a difference was found."""
    INVALID = 2
    """The command line, a file or what is in it is wrong."""
    MISSING = 3
    CONFLICT = 4
    """What is there does not allow it: it exists already, it was changed meanwhile, something holds it."""
    UNANSWERED = 5
    """The API does not answer, or cannot now."""
    TIMED_OUT = 6
    FORBIDDEN = 7
    INTERRUPTED = 130
    READER_GONE = 141


class Failure(Exception):  # noqa: N818 - an error is what the API answers
    """Why a command cannot do what it should. `step` is what somebody could do about it, `findings` what the API says of each
    field that is wrong: its pointer, and the message."""

    def __init__(
        self,
        message: str,
        step: str = "",
        code: Exit = Exit.INVALID,
        findings: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.step = step
        self.code = code
        self.findings = findings

    def inside(self, place: str) -> "Failure":
        """The same, with the place where it is."""
        return Failure(f"{place}: {self.message}", self.step, self.code)

    @property
    def ends_all(self) -> bool:
        """Whether what would be done next fails alike."""
        return self.code in (Exit.UNANSWERED, Exit.TIMED_OUT)

    @property
    def sentence(self) -> str:
        """One line for people."""
        told = self.message.rstrip(". ")
        line = f"{told}; {self.step}" if self.step else told
        return "".join(letter if letter.isprintable() else " " for letter in line)
