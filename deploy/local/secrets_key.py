"""The key of secrets on this machine: made once, kept in a file of the owner's alone."""

from pathlib import Path

from datamodel.private import write_private
from datamodel.secrets.keyring import Keyring, new_key


class SecretsKey:
    """Under `home`. The program that reveals secrets is told the file, and the one that takes them in its public half."""

    def __init__(self, home: Path) -> None:
        """`home` is a directory. The key is made where there is none."""
        self.file = home / "secrets.key"
        if not self.file.exists():
            write_private(self.file, f"{new_key()}\n")

    @property
    def public(self) -> str:
        """Raises `Invalid` where somebody has damaged the file, or opened it to others."""
        return Keyring.read(self.file).seal.text
