"""Artifacts of chunks: which files a job declares, what became of them, and which ones are inputs of another job."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from datamodel.kinds import Name, Part

ARTIFACTS_LIMIT = 16
"""Of one chunk."""
ARTIFACT_LIMIT_BYTES = 10 * 2**30
INPUTS_LIMIT = 16
INPUT_FILES_BYTES = 24 * 1024
"""The most that the files of all inputs take as JSON: with them, a job's status and each attempt's spec stay parts that the
store takes."""
INPUTS_DIRECTORY = "inputs"
"""In the shared directory."""
PATH_LIMIT_BYTES = 255

_SHA256 = r"^[0-9a-f]{64}$"
_JOB = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_PATH = r"^[^/\x00-\x1f\x7f]{1,255}(/[^/\x00-\x1f\x7f]{1,255})*$"


def is_shared_path(path: str) -> bool:
    """Whether it is a path to something below a shared directory, in its one spelling: names with one `/` between them, none of
    which is `.` or `..` or has a control character, 255 bytes in all."""
    return (
        re.fullmatch(_PATH[1:-1], path) is not None
        and not {".", ".."} & set(path.split("/"))
        and len(path.encode(errors="replace")) <= PATH_LIMIT_BYTES
    )


def _checked(path: str) -> str:
    if not is_shared_path(path):
        raise ValueError(f"a path below /shared has neither . nor .. in it, and at most {PATH_LIMIT_BYTES} bytes")
    return path


_Path = Annotated[
    str, StringConstraints(min_length=1, max_length=PATH_LIMIT_BYTES, pattern=_PATH), AfterValidator(_checked)
]
_Bytes = Annotated[int, Field(ge=0, le=ARTIFACT_LIMIT_BYTES, strict=True)]


class Artifact(Part):
    """A file that every chunk leaves in /shared, and that is kept for others to fetch."""

    name: Name
    path: Annotated[_Path, Field(description="where the steps leave it, below /shared")]
    max_bytes: Annotated[
        int | None,
        Field(ge=1, le=ARTIFACT_LIMIT_BYTES, strict=True, description="a larger one fails the chunk"),
    ] = None


class KeptArtifact(Part):
    """An artifact of one attempt that is at the hub, complete and checked."""

    name: Name
    bytes: _Bytes
    sha256: Annotated[str, StringConstraints(pattern=_SHA256)]


class ArtifactTotals(Part):
    """How many artifacts the chunks of a job have left, and how many bytes those have."""

    count: int = 0
    bytes: int = 0


class Input(Part):
    """An artifact of another job that every chunk finds in /shared/inputs. The job begins when that one has succeeded."""

    job: Annotated[str, StringConstraints(pattern=_JOB), Field(description="GROUP/NAME of a job that is there already")]
    artifact: Annotated[Name, Field(description="its name")]
    chunk: Annotated[
        int | None,
        Field(ge=0, lt=1_000_000, strict=True, description="of which chunk; absent: of all, each by its index"),
    ] = None
    path: Annotated[
        _Path, Field(description="below /shared/inputs: the file, or without a chunk the directory of the files")
    ]


class InputFile(Part):
    """One file that an attempt is given before its first step: the artifact of this key, and where it is to be."""

    key: Annotated[str, StringConstraints(max_length=320)]
    bytes: _Bytes
    sha256: Annotated[str, StringConstraints(pattern=_SHA256)]
    path: str


def key_of(site: str, edge: str, attempt: str, name: str) -> str:
    """The key of an attempt's artifact. Its first token is all that an edge's credential allows it to add to. No other attempt
    has the same, so what a late one leaves replaces nothing."""
    return f"{site}.{edge}.{attempt}.{name}"


def check_distinct(artifacts: Sequence[Artifact] | None) -> None:
    """Raises `ValueError` where two have the same name."""
    if artifacts and len({artifact.name for artifact in artifacts}) < len(artifacts):
        raise ValueError("two artifacts have the same name")


def check_apart(inputs: Sequence[Input] | None) -> None:
    """Raises `ValueError` where two have the same path, or one is within another."""
    paths = sorted(f"{one.path}/" for one in inputs or ())
    if any(later.startswith(path) for path, later in pairwise(paths)):
        raise ValueError("two inputs have the same path, or one's is within another's")
