"""Errors that name places of our documents, made to name those of the documents that were sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from datamodel.errors import Invalid, TendrilError

Places = Mapping[str, str]
"""By JSON pointer into what was made, the pointer to what it was made of. A place stands for everything below it."""


@contextmanager
def naming(places: Places) -> Iterator[None]:
    """Makes the pointers of an error lead to where `places` says; those that it does not know lead to the whole."""
    try:
        yield
    except TendrilError as error:
        error.field = _place(places, error.field)
        if isinstance(error, Invalid):
            error.details = tuple((_place(places, pointer), message) for pointer, message in error.details)
        raise


def _place(places: Places, pointer: str) -> str:
    if not pointer.startswith(("/", "?")):
        return pointer  # a header
    known = pointer
    while known and known not in places:
        known = known.rpartition("/")[0]
    return places.get(known, "")
