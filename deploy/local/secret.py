"""Passwords of servers that nobody but us has to know."""

import secrets
from pathlib import Path

from datamodel.private import write_private


def kept_password(path: Path) -> str:
    """The password in this file; a new random one, of 256 bits in hexadecimal, is put there at first."""
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_text(encoding="utf-8")
