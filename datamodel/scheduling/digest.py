"""What an agent has of its part of the graph, held against what there is: sums of paths and versions, and what is said of them.

`digest.SITE.AGENT`: an agent's look. `differences.SITE.AGENT`: what the hub has otherwise, and `missed.SITE.AGENT`: a node
that it asked for, as the feed has it. All may be lost: the next look says it again. Attempts are named by their paths below the
site's edges (`EDGE/attempts/NAME`), and fall into as many buckets as the agent has use for, so that one look and its answer
have a bounded number of bytes, however many differ.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Annotated
from zlib import crc32

import msgspec

from datamodel.feed import message
from datamodel.scheduling.wire import GROUP_LIMIT

BUCKET_ATTEMPTS = 32
"""Attempts for which there is one bucket more."""
BUCKETS_LIMIT = 256
LISTED_LIMIT = 1_000
"""Attempts that an answer names at most."""
MISSED_LIMIT = 8
"""Nodes that are asked for at a time."""
_SUM_BYTES = 8
_SUM = 2 * _SUM_BYTES
"""Of one bucket, in hexadecimal digits."""

_Path = Annotated[str, msgspec.Meta(max_length=192)]


class Look(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What an agent of so many edges has: the sums of its buckets, one after the other. `number` comes back with the answer.
    `missed`: what it wants to be sent, and `healed`: how many differences it made good since it looked last."""

    number: int
    edges: Annotated[int, msgspec.Meta(ge=1, le=GROUP_LIMIT)]
    sums: Annotated[str, msgspec.Meta(pattern=rf"^([0-9a-f]{{{_SUM}}}){{1,{BUCKETS_LIMIT}}}$")]
    missed: Annotated[tuple[_Path, ...], msgspec.Meta(max_length=MISSED_LIMIT)] = ()
    healed: int = 0


class Differences(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Everything that there is in the buckets that are not as the agent has them, with its versions. The feed has had
    everything up to and including the position `through`; buckets where something is newer than that are not compared."""

    number: int
    through: int
    buckets: dict[int, dict[str, int]] = {}


UNREADABLE = message.UNREADABLE
"""What the decoders raise for bytes that are no such message."""

decode_look = msgspec.json.Decoder(Look).decode
decode_differences = msgspec.json.Decoder(Differences).decode
encode = msgspec.json.Encoder().encode


def look_subject(site: str, agent: str) -> str:
    return f"digest.{site}.{agent}"


def differences_subject(site: str, agent: str) -> str:
    return f"differences.{site}.{agent}"


def missed_subject(site: str, agent: str) -> str:
    return f"missed.{site}.{agent}"


def buckets_for(count: int) -> int:
    """Into how many buckets so many attempts fall."""
    return max(1, min(BUCKETS_LIMIT, count // BUCKET_ATTEMPTS))


def bucket_of(path: str, buckets: int) -> int:
    """The bucket of a path: the same in every process and version."""
    return crc32(path.encode()) % buckets


def sums_of(versions: Mapping[str, int], buckets: int) -> str:
    """The sums of so many buckets. The order makes no difference, and an empty bucket's is zero."""
    sums = [0] * buckets
    for path, version in versions.items():
        one = blake2b(f"{path}@{version}".encode(), digest_size=_SUM_BYTES).digest()
        sums[bucket_of(path, buckets)] ^= int.from_bytes(one, "big")
    return "".join(f"{one:0{_SUM}x}" for one in sums)


def compared(look: Look, versions: Mapping[str, int], through: int) -> Differences:
    """What is to be answered to a look where these attempts are there."""
    buckets = len(look.sums) // _SUM
    own = sums_of(versions, buckets)
    differing = {number for number in range(buckets) if _sum(own, number) != _sum(look.sums, number)}
    listed: dict[int, dict[str, int]] = {number: {} for number in sorted(differing)}
    for path, version in versions.items():
        if (number := bucket_of(path, buckets)) in listed:
            listed[number][path] = version
    return Differences(look.number, through, dict(_bounded(listed, through)))


def _bounded(listed: Mapping[int, dict[str, int]], through: int) -> Iterable[tuple[int, dict[str, int]]]:
    """The first buckets, as far as there is room for them; the others differ yet when these are made good."""
    room = LISTED_LIMIT
    for number, found in listed.items():
        if len(found) <= room and all(version <= through for version in found.values()):
            room -= len(found)
            yield number, found


def _sum(sums: str, number: int) -> str:
    return sums[number * _SUM : (number + 1) * _SUM]
