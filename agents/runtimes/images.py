"""Names of images, as engines read them. Pure."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

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


def is_allowed(written: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern (`*` stands for anything) matches the full name, or the repository alone."""
    name = image_name(written)
    return any(fnmatchcase(form, pattern) for pattern in patterns for form in (str(name), name.repository))


def is_called(written: str, names: Collection[str]) -> bool:
    """Whether one of the names that an engine has for an image is this one. An engine finds images by the beginning of
    their id as well, under which any image could pass for an allowed one."""
    return image_name(written) in {image_name(name) for name in names}


def _is_registry(head: str) -> bool:
    return "." in head or ":" in head or head == "localhost" or head != head.lower()
