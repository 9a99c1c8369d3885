"""What a program shows to NATS: a JWT, and the key that proves that it is its own. A file holds both, as NATS' tools write
them, or the key alone as long as nobody has signed anything for it."""

import base64
import re
from pathlib import Path

from datamodel.errors import Invalid
from datamodel.identity.claims import User, read_user
from datamodel.identity.nkeys import Key
from datamodel.private import check_private, write_private

_PART = re.compile(r"-+BEGIN (NATS USER JWT|USER NKEY SEED)-+\s+(\S+)\s+-+END (?:NATS USER JWT|USER NKEY SEED)-+")


class Credential:
    """One of a user. `jwt` is empty as long as there is none."""

    def __init__(self, key: Key, jwt: str = "") -> None:
        self.key = key
        self.jwt = jwt

    @property
    def user(self) -> User:
        """What the JWT says. Raises `Invalid` where there is none, or it is another's."""
        user = read_user(self.jwt)
        if user.public != self.key.public:
            raise Invalid("the JWT was issued for another key")
        return user

    def answer(self, nonce: str) -> bytes:
        """What proves to a server that the key is here."""
        return base64.b64encode(self.key.sign(nonce.encode()))

    @property
    def text(self) -> str:
        """As a file holds it."""
        jwt = f"-----BEGIN NATS USER JWT-----\n{self.jwt}\n------END NATS USER JWT------\n\n" if self.jwt else ""
        return f"{jwt}-----BEGIN USER NKEY SEED-----\n{self.key.seed}\n------END USER NKEY SEED------\n"

    @classmethod
    def of_seed(cls, seed: str, jwt: str = "") -> "Credential":
        """Raises `Invalid`, which shows none of it, where the seed is of no user."""
        key = Key.of(seed)
        if key.kind != "user":
            raise Invalid("the seed is of no user")
        return cls(key, jwt)

    @classmethod
    def of(cls, text: str) -> "Credential":
        """Raises `Invalid`, which shows none of it."""
        parts = dict(_PART.findall(text))
        if "USER NKEY SEED" not in parts:
            raise Invalid("there is no seed of a user")
        return cls.of_seed(parts["USER NKEY SEED"], parts.get("NATS USER JWT", ""))


def read_credential(path: Path) -> Credential:
    """Raises `Invalid` where the file cannot be read, is open to others, or holds no credential."""
    try:
        check_private(path)
        return Credential.of(path.read_text(encoding="ascii"))
    except (OSError, UnicodeError) as error:
        raise Invalid(f"the credential {path} cannot be read: {error}") from error
    except Invalid as error:
        raise Invalid(f"the credential {path}: {error.message}") from error


def write_credential(path: Path, credential: Credential) -> None:
    """For its owner alone. Raises `OSError`."""
    write_private(path, credential.text)
