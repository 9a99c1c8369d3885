"""Attempts' logs: what their steps wrote to stdout and stderr, as frames of a transcript.

Bytes are counted over the whole attempt, in the order in which its runtime kept them: what was dropped counts where that is
known. So an offset means the same place however the output was cut into records and frames.
"""

from typing import Annotated, Literal

import msgspec

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")

FRAME_VERSION: Literal[1] = 1
FRAME_BYTES = 32 * 1024
"""About the most output of one frame. Few are under way at a time, so that on a narrow line nothing waits long behind them."""
FRAMES_LIMIT = 20_000
"""The most frames of one attempt's log, below the number of entries that a transcript keeps."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Index = Annotated[int, msgspec.Meta(ge=0, le=255)]


class Record(msgspec.Struct, frozen=True, array_like=True, tag="w", tag_field="t", forbid_unknown_fields=True):
    """What a step wrote at a time (nanoseconds since the epoch): lines, or parts of them."""

    step: _Index
    stream: Stream
    at_ns: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    data: Annotated[bytes, msgspec.Meta(max_length=64 * 1024)]


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag="d", tag_field="t", forbid_unknown_fields=True):
    """Output of a step that is not in the log: so many bytes; None where nobody counted them."""

    step: _Index
    bytes: _Count | None


Part = Record | Dropped


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far an attempt's output has been taken: in which step, and behind which cursor of its runtime."""

    step: _Index = 0
    cursor: Annotated[str, msgspec.Meta(max_length=128)] = ""


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """What of an attempt is in its log: frames, bytes and lines, and at which offset it ends. `full`: of what follows, only the
    last part will be."""

    frames: _Count = 0
    bytes: _Count = 0
    lines: _Count = 0
    offset: _Count = 0
    full: bool = False


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the transcript: records from `offset` on. Behind it are `position` and `taken`: who is to add the next frame
    needs to know nothing else. Nothing follows the `last` one."""

    version: Literal[1]
    offset: _Count
    records: tuple[Part, ...]
    position: Position
    taken: Taken
    last: bool = False


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What `decode` raises for bytes that are no frame."""

decode = msgspec.msgpack.Decoder(Frame).decode
encode = msgspec.msgpack.Encoder().encode


def size_of(part: Part) -> int:
    """By how much a part moves the offset."""
    return len(part.data) if isinstance(part, Record) else part.bytes or 0


def key_of(site: str, edge: str, attempt: str) -> str:
    """The transcript of an attempt. Its first token is all that an edge's credential allows."""
    return f"{site}.{edge}.{attempt}"
