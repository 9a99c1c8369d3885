"""Files that only their owner may read."""

import os
from pathlib import Path
from stat import S_IMODE

from datamodel.errors import Invalid


def write_private(path: Path, text: str) -> None:
    """Puts `text` at `path` with mode 0600: it never exists there with another mode or with half the text. Raises `OSError`."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no Path
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def check_private(path: Path) -> None:
    """Raises `Invalid` where others may read the file, `OSError` where there is none."""
    if S_IMODE(path.stat().st_mode) & 0o077:
        raise Invalid(f"others may read {path}: chmod 600 it")
