"""How many chunks a job has: as many as it says, as the set of indices that it names has, or as the splitter chose."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from datamodel.kinds import IMMUTABLE, Document, Part
from datamodel.ledger import pieces_of
from datamodel.node import Node
from datamodel.scheduling.arrays import SIZE_LIMIT, TEXT_LIMIT, parsed

CHUNKS_LIMIT = SIZE_LIMIT
COUNTED_BY = ("chunks", ("split", "chunks"))
"""Where the number stands: in the spec, or in the status once it was chosen."""

MaxChunks = Annotated[
    int | None,
    Field(
        ge=1,
        le=CHUNKS_LIMIT,
        strict=True,
        description="instead of `chunks`: as many as there is room for at its turn, at most these",
    ),
    IMMUTABLE,
]
MinChunkWs = Annotated[
    float | None,
    Field(gt=0, le=1e15, allow_inf_nan=False, description="with `maxChunks`: no chunk has less of the watt-seconds"),
    IMMUTABLE,
]
ArraySet = Annotated[
    str | None,
    StringConstraints(min_length=1, max_length=TEXT_LIMIT),
    Field(
        description="instead of `chunks`: the indices of its chunks, as 0-31:2,40; %4 after them is `maxParallel`",
        examples=["0-31:2,40%4"],
    ),
    IMMUTABLE,
]
Chunks = Annotated[
    int | None,
    Field(
        ge=1,
        le=CHUNKS_LIMIT,
        strict=True,
        description="absent: 1, or as many as `array` has indices; with `maxChunks`, its status says in `split` how many",
    ),
    IMMUTABLE,
]


class Split(Part):
    """What the splitter chose, once and for good."""

    chunks: Annotated[int, Field(ge=1, le=CHUNKS_LIMIT)]


def default_chunks(known: Mapping[str, Any]) -> int | None:
    """The number of chunks where it is not said, of a job with these other fields."""
    array = known.get("array")
    if array is not None:
        return parsed(array).indices.size
    return None if known.get("max_chunks") is not None else 1


def chunks_of(job: Node) -> int:
    """How many chunks a job has. One that is not split yet counts as one that waits: all of its work."""
    return pieces_of(job.spec, job.status, *COUNTED_BY)


def is_split(job: Node) -> bool:
    """Whether it is settled how many chunks it has."""
    return "chunks" in job.spec or "split" in job.status


def array_index(job: Node, chunk: int) -> int | None:
    """A chunk's own index in the set that its job names; None where it names none."""
    return parsed(job.spec["array"]).indices.at(chunk) if "array" in job.spec else None


def chunks_at_most(job: Node) -> int:
    """How many chunks a job has, or may be split into."""
    return chunks_of(job) if is_split(job) else most_chunks(job.spec)


def most_chunks(spec: Document) -> int:
    """Into how many chunks a job may be split, one at least: none of them is to have less work than it says."""
    most: int = spec["maxChunks"]
    least_ws = spec.get("minChunkWs", 0.0)
    return most if most * least_ws <= spec["workWs"] else max(1, int(spec["workWs"] / least_ws))


def apart(spec: Any) -> Any:
    """A spec as it is sent, where what the array says of how many run at a time is `maxParallel`, as it is kept. What cannot
    be read, and what `maxParallel` says too, `check_array` finds."""
    if not isinstance(spec, dict) or not isinstance(spec.get("array"), str) or spec.get("maxParallel") is not None:
        return spec
    try:
        array = parsed(spec["array"])
    except ValueError:
        return spec
    return spec if array.at_a_time is None else {**spec, "array": array.set, "maxParallel": array.at_a_time}


def check_array(array: str | None) -> None:
    """Raises `ValueError` where it is no set of indices, or says how many run at a time beside `maxParallel`."""
    if array is not None and parsed(array).at_a_time is not None:
        raise ValueError("how many run at a time is said by % and by maxParallel: say it once")


def check_split(name: str | None, value: Any, known: Mapping[str, Any]) -> None:
    """Raises `ValueError` where this field says again, or otherwise, what those before it (`known`) say of how many chunks
    there are."""
    array, most = known.get("array"), known.get("max_chunks")
    match name:
        case "max_chunks" if value is not None and array is not None:
            raise ValueError("array and maxChunks both say how many chunks it has: give one of them")
        case "min_chunk_ws" if value is not None and most is None:
            raise ValueError("minChunkWs is for a job with maxChunks")
        case "chunks" if value is not None and most is not None:
            raise ValueError("chunks and maxChunks both say how many chunks it has: give one of them")
        case "chunks" if array is not None and value != (size := parsed(array).indices.size):
            raise ValueError(f"the array has {size} indices, and it has as many chunks: leave chunks away")
        case "chunks" if value is None and most is None:
            raise ValueError("it is a number: leave it away for 1")


def check_work(max_chunks: int | None, work_ws: float) -> None:
    """Raises `ValueError` where there is nothing to split."""
    if max_chunks is not None and not work_ws:
        raise ValueError("maxChunks needs workWs above 0: that is what is split")
