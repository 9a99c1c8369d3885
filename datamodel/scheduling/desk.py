"""What agents ask of JetStream, which they may not use themselves, and what they are told.

`hub.SITE.AGENT`: a question. `told.SITE.AGENT`: its answer, which repeats its number. `feed.SITE.AGENT.NONCE`: where a consumer
that was made for the agent delivers. All may be lost: it is asked again.
"""

from typing import Annotated

import msgspec

from datamodel.feed import message
from datamodel.scheduling.permissions import EDGES_LISTED

NONCE = r"^[0-9a-f]{32}$"
_KEY = r"^[a-z0-9]([-a-z0-9.]{0,253}[a-z0-9])?$"
_EPOCH = msgspec.Meta(ge=0, le=2**53)


class Newest(msgspec.Struct, frozen=True, tag="newest", forbid_unknown_fields=True):
    """Which stream is the newest?"""


class Follow(msgspec.Struct, frozen=True, tag="follow", forbid_unknown_fields=True):
    """Make a consumer of the attempts of these edges, or, where none is named, of all of the site. The rest is as in
    `Consumers.make`."""

    epoch: Annotated[int, _EPOCH]
    inbox: Annotated[str, msgspec.Meta(pattern=NONCE)]
    edges: Annotated[list[str], msgspec.Meta(max_length=EDGES_LISTED)]
    heartbeat_s: Annotated[float, msgspec.Meta(ge=0.5, le=60)]
    after: Annotated[int, _EPOCH] | None = None


class Wait(msgspec.Struct, frozen=True, tag="wait", forbid_unknown_fields=True):
    """How much waits at the consumer?"""

    epoch: Annotated[int, _EPOCH]


class Leave(msgspec.Struct, frozen=True, tag="leave", forbid_unknown_fields=True):
    """Remove the consumer."""

    epoch: Annotated[int, _EPOCH]


class Numbers(msgspec.Struct, frozen=True, tag="numbers", forbid_unknown_fields=True):
    """Which pieces of an artifact are there?"""

    key: Annotated[str, msgspec.Meta(pattern=_KEY)]


class Limit(msgspec.Struct, frozen=True, tag="limit", forbid_unknown_fields=True):
    """How much do all artifacts take at most?"""


class Renew(msgspec.Struct, frozen=True, tag="renew", forbid_unknown_fields=True):
    """What was signed for the agent last?"""


Errand = Newest | Follow | Wait | Leave | Numbers | Limit


Asked = Errand | Renew


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`number` is of this question alone."""

    number: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    asked: Asked


class Answer(msgspec.Struct, frozen=True):
    """`error`: why there is none. `numbers` are what was asked for, in the order that the question's meaning gives them; empty
    where there is nothing to tell."""

    number: int
    error: str = ""
    numbers: list[int] = []
    jwt: str = ""


UNREADABLE = message.UNREADABLE
decode_question = msgspec.json.Decoder(Question).decode
decode_answer = msgspec.json.Decoder(Answer).decode
encode = msgspec.json.Encoder().encode


def question_subject(site: str, agent: str) -> str:
    return f"hub.{site}.{agent}"


def answer_subject(site: str, agent: str) -> str:
    return f"told.{site}.{agent}"


def feed_subject(site: str, agent: str, nonce: str) -> str:
    return f"feed.{site}.{agent}.{nonce}"
