"""Why a chunk was placed where it was, and when it was: a few words in its attempt, and so in the event that made it."""

from typing import Annotated

from pydantic import Field

from datamodel.kinds import Document, Part
from datamodel.scheduling.resources import short_name

_Word = Annotated[str, Field(max_length=80)]


class Decided(Part):
    """How placement came to it. Why there: by the `policy`, and the resource by which it compared edges, if it did (`by`, as
    pools name it), of so many `edges` that suited and took work, whether they had room or not. Why then: by the `order`, in
    which the group's share was the smallest, or the job's rank in its group: the seconds since 1970 at which it came, less
    what its priority is worth. `kept`: room had been kept for it."""

    policy: _Word
    order: _Word
    edges: Annotated[int, Field(ge=0, le=10_000_000)]
    by: _Word | None = None
    share: Annotated[float | None, Field(ge=0, le=1e9, allow_inf_nan=False)] = None
    rank: Annotated[int | None, Field(ge=-(2**53), le=2**53)] = None
    kept: Annotated[bool | None, Field(strict=True)] = None


def decided(decision: Document) -> str:
    """All of it in a sentence's part."""
    by = f" by {short_name(decision['by'])}" if "by" in decision else ""
    kept = ", where room had been kept for it" if "kept" in decision else ""
    told = f"{decision['policy']}{by} among {decision['edges']} edges that suited{kept}"
    if "share" in decision:
        return f"{told}; {decision['order']}: its group's share was {decision['share']:.2%}, and no other's smaller"
    return (
        f"{told}; {decision['order']}: {'its rank was the first' if 'rank' in decision else 'it was the first to come'}"
    )
