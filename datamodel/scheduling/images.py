"""Names of images, as engines read them, and which ones a job's steps run."""

from functools import lru_cache
from typing import NamedTuple

from datamodel.kinds import Document

IMAGES_LIMIT = 256
"""Images that an edge tells of, the newest."""
IMAGES_CHARACTERS = 16 * 1024
"""Of their names, together: they are in every image of their edge's spec that the log keeps."""

_DEFAULT_REGISTRY = "docker.io"


class ImageName(NamedTuple):
    """A name in full: `busybox` is `docker.io/library/busybox:latest`. With a digest, the tag says nothing."""

    repository: str
    tag: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def image_name(written: str) -> ImageName:
    """What an engine takes a name for: the rules of github.com/distribution/reference, without its refusals."""
    named, _, digest = written.partition("@")
    head, slash, rest = named.partition("/")
    if not slash or not _is_registry(head):
        head, rest = _DEFAULT_REGISTRY, named
    elif head == "index.docker.io":
        head = _DEFAULT_REGISTRY
    if head == _DEFAULT_REGISTRY and "/" not in rest:
        rest = f"library/{rest}"
    path, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        path, tag = rest, "latest"
    return ImageName(f"{head}/{path}", "" if digest else tag, digest)


def images_of(job: Document) -> tuple[str, ...]:
    """The images of a job's spec in full, sorted, each once."""
    steps = job["steps"]
    if len(steps) == 1:
        return _full_names((steps[0]["image"],))
    return _full_names(tuple(step["image"] for step in steps))


@lru_cache(maxsize=4_096)
def _full_names(written: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({str(image_name(one)) for one in written}))


def _is_registry(head: str) -> bool:
    return "." in head or ":" in head or head == "localhost" or head != head.lower()
