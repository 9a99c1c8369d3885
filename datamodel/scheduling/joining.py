"""How an agent that has a token, and no credential yet, gets one.

`join.SITE.TOKEN`: it says who it is, with its own new key, which has signed that. `joined.SITE.TOKEN.KEY`: what was signed
for it, or why nothing is. Both may be lost: it asks again, and what was signed once for its key is told again.
"""

import base64
import binascii
from typing import Annotated, NamedTuple

import msgspec

from datamodel.errors import Invalid
from datamodel.feed import message
from datamodel.identity.credentials import Credential
from datamodel.scheduling.wire import GROUP_LIMIT

WIRE_VERSION = 1
_MARK = "tendril-join-"


class Join(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The agent that asks, its public key, and how many edges it hosts."""

    version: int
    agent: str
    public_key: str
    count: Annotated[int, msgspec.Meta(ge=1, le=GROUP_LIMIT)]


class Joined(msgspec.Struct, frozen=True, rename="camel"):
    """Without either, it is being signed: ask again."""

    jwt: str = ""
    refused: str = ""


class Token(NamedTuple):
    """What somebody hands to a machine that is to join a site, as one line of text."""

    site: str
    name: str
    credential: Credential

    @property
    def text(self) -> str:
        said = f"{self.site}\n{self.name}\n{self.credential.key.seed}\n{self.credential.jwt}"
        return _MARK + base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")

    @classmethod
    def of(cls, text: str) -> "Token":
        """Raises `Invalid`, which shows none of it."""
        said = text.strip().removeprefix(_MARK)
        try:
            parts = base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)).decode("ascii").split("\n")
        except (binascii.Error, ValueError):
            parts = []
        if len(parts) != 4 or not text.strip().startswith(_MARK):
            raise Invalid("this is no token to join by")
        site, name, seed, jwt = parts
        return cls(site, name, Credential.of_seed(seed, jwt))


UNREADABLE = message.UNREADABLE
decode_join = msgspec.json.Decoder(Join).decode
decode_joined = msgspec.json.Decoder(Joined).decode
encode = msgspec.json.Encoder().encode


def join_subject(site: str, token: str) -> str:
    return f"join.{site}.{token}"


def joined_subject(site: str, token: str, public: str) -> str:
    return f"joined.{site}.{token}.{public}"
