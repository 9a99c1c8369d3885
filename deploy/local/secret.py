"""Files that only their owner may read."""

import os
import secrets
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Puts `text` at `path` with mode 0600: it never exists there with another mode or with half the text."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no Path
        file.write(text)
    draft.replace(path)


def kept_password(path: Path) -> str:
    """The password in this file; a new random one, of 256 bits in hexadecimal, is put there at first."""
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_text(encoding="utf-8")
