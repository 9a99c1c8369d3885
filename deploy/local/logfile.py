"""The file that takes what a child prints."""

import os
from dataclasses import dataclass
from pathlib import Path

LIMIT_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LogFile:
    """A child's standard output and error, with one older part beside it (`.1`).

    The child writes it directly, so it goes on when its supervisor stalls; the size is looked at when the child starts.
    """

    path: Path

    def open(self) -> int:
        """A descriptor that appends, for the caller to close. Above `LIMIT_BYTES` a new file begins."""
        if self.path.exists() and self.path.stat().st_size > LIMIT_BYTES:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        return self._append()

    def note(self, message: str) -> None:
        """Adds a line of the supervisor's own, so that the log tells why it begins again."""
        with open(self._append(), "a", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no Path
            file.write(f"supervisor: {message}\n")

    def tail(self, lines: int = 20, limit_bytes: int = 16 * 1024) -> str:
        """The last `lines` lines within the last `limit_bytes` bytes; empty where nothing was written."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - limit_bytes))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _append(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
