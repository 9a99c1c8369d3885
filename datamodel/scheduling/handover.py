"""How the values of secrets come to an edge: asked for over core NATS, and answered sealed to the edge's own key.

`secrets.SITE.AGENT`: an agent asks for the secrets of one attempt. `sealed.SITE.AGENT`: what it is told. Nobody keeps either:
no stream has these subjects, and both may be lost or come twice. What is sealed repeats the question's nonce, so an older
answer is none.
"""

from typing import Literal

import msgspec

from datamodel.feed import message

WIRE_VERSION = 1
HANDED_LIMIT_BYTES = 256 * 1024
"""Of all values of an attempt together."""
NONCE_BYTES = 16

Reason = Literal["SecretMissing", "SecretsTooLarge"]


class Ask(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`nonce`: of this question alone, in hexadecimal."""

    version: int
    site: str
    agent: str
    edge: str
    attempt: str
    nonce: str


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """`sealed` is a `Handed` in a sealed box of libsodium's for the key that the edge told of itself; it is empty where there
    is a `reason` not to start the attempt. Who may ask no such thing gets no answer."""

    attempt: str
    nonce: str
    sealed: bytes = b""
    reason: Reason | Literal[""] = ""
    message: str = ""


class Handed(msgspec.Struct, frozen=True, rename="camel"):
    """The values that the attempt's steps name, by secret and key."""

    attempt: str
    nonce: str
    secrets: dict[str, dict[str, str]]

    def __repr__(self) -> str:
        return f"Handed({self.attempt})"


UNREADABLE = message.UNREADABLE
decode_ask = msgspec.json.Decoder(Ask).decode
decode_answer = msgspec.json.Decoder(Answer).decode
decode_handed = msgspec.json.Decoder(Handed).decode
encode = msgspec.json.Encoder().encode


def ask_subject(site: str, agent: str) -> str:
    return f"secrets.{site}.{agent}"


def answer_subject(site: str, agent: str) -> str:
    return f"sealed.{site}.{agent}"
