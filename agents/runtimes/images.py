"""Which images may run, and what an engine calls them. Pure."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from datamodel.scheduling.images import IMAGES_CHARACTERS, IMAGES_LIMIT, image_name


def is_allowed(written: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern (`*` stands for anything) matches the full name, or the repository alone."""
    name = image_name(written)
    return any(fnmatchcase(form, pattern) for pattern in patterns for form in (str(name), name.repository))


def is_called(written: str, names: Collection[str]) -> bool:
    """Whether one of the names that an engine has for an image is this one. An engine finds images by the beginning of
    their id as well, under which any image could pass for an allowed one."""
    return image_name(written) in {image_name(name) for name in names}


def told(newest_first: Iterable[str]) -> tuple[str, ...]:
    """The images that the hub is told of, in full and sorted: of many names, the newest."""
    names, characters = dict[str, None](), 0
    for written in newest_first:
        name = str(image_name(written))
        if name in names:
            continue
        characters += len(name)
        if len(names) == IMAGES_LIMIT or characters > IMAGES_CHARACTERS:
            break
        names[name] = None
    return tuple(sorted(names))
