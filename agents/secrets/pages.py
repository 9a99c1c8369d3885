"""Taking patterns out of a page of a log, whose records are pieces of two streams. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from agents.runtimes.protocol import LogPage
from agents.secrets.redaction import MASK, Needles, Span
from datamodel.scheduling.logs import STREAMS, Part, Record


class _Place(NamedTuple):
    """Of a record: its number on the page, and where it begins and ends in the text of its stream."""

    record: int
    first: int
    last: int


class _Text(NamedTuple):
    """What a stream wrote without a gap. `open`: what it writes next follows."""

    text: bytes
    places: list[_Place]
    open: bool


def masked_page(page: LogPage, needles: Needles, *, final: bool) -> LogPage:
    """The page with a mask in each record for what of a pattern stands there. It ends before a record in which a pattern may
    have begun that a later one completes: such records come with the next page, unless the page is `final`."""
    parts, end = list(page.parts), len(page.parts)
    reaches: list[tuple[int, int]] = []
    for text, places, is_open in _texts(page.parts):
        covered = needles.spans(text)
        if is_open and not final:
            end = min(end, _first_waiting(places, covered, len(text) - needles.begun(text)))
        reaches += _reaches(places, covered)
        for index, first, last in places:
            part = parts[index]
            assert isinstance(part, Record)
            parts[index] = replace(part, data=_without(text, first, last, covered))
    # What waits in one stream must not part what belongs together in the other: its rest would not be known for what it is.
    while (earlier := min((first for first, last in reaches if first < end <= last), default=end)) < end:
        end = earlier
    return LogPage(page.after, tuple(parts[:end]), page.cursors[:end], page.more)


def _texts(parts: Sequence[Part]) -> Iterator[_Text]:
    for stream in STREAMS:
        text, places = bytearray(), list[_Place]()
        for index, part in enumerate(parts):
            if not isinstance(part, Record):
                if places:
                    yield _Text(bytes(text), places, open=False)
                text, places = bytearray(), []
            elif part.stream == stream:
                places.append(_Place(index, len(text), len(text) + len(part.data)))
                text += part.data
        if places:
            yield _Text(bytes(text), places, open=True)


def _first_waiting(places: Sequence[_Place], covered: Sequence[Span], begin: int) -> int:
    """The number of the first record that has to wait: the one where what may go on begins, at `begin`, or what is covered and
    reaches over that record's own beginning."""
    for place in reversed(places):
        if place.last <= begin:
            return place.record + 1
        begin = min(begin, min((start for start, stop in covered if start < place.first < stop), default=begin))
    return places[0].record


def _reaches(places: Sequence[_Place], covered: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """The numbers of the first and the last record of all that is covered and stands in several."""
    for start, stop in covered:
        records = [record for record, first, last in places if first < stop and start < last]
        if len(records) > 1:
            yield records[0], records[-1]


def _without(text: bytes, first: int, last: int, covered: Sequence[Span]) -> bytes:
    given: list[bytes] = []
    at = first
    for begin, stop in covered:
        if begin < last and first < stop:
            given += [text[at : max(at, begin)], MASK]
            at = min(stop, last)
    return b"".join([*given, text[at:last]])
