"""Files of backups: whatever was done to one, it is read as it was written, or refused."""

import contextlib
import gzip
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from datamodel.event import Event
from datamodel.keeping.archive import FORMAT, Key, Lease, Line, Logged, Mark, Reader, Top, Writer
from tests.fuzz.budget import budget

AT = datetime(2026, 1, 2, tzinfo=UTC)

_texts = st.text(max_size=5)
_numbers = st.integers(0, 2**53)
_lines = st.lists(
    st.builds(Mark, _texts, _numbers)
    | st.builds(Lease, _texts, _numbers)
    | st.builds(Key, _texts, _texts, st.lists(st.tuples(_texts, _texts, _numbers), max_size=2))
    | st.builds(
        lambda path, text: Logged(Event(1, "i", AT, "created", path, "u", "Kind", {"spec": {"text": text}}, "actor")),
        _texts,
        _texts,
    ),
    max_size=6,
)


def content(lines: list[Line]) -> bytes:
    """Of a file with these lines."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        writer = Writer(file, Top(FORMAT, 1, AT, 1))
        for line in lines:
            writer.put(line)
        writer.end()
    return raw.getvalue()


def read(found: bytes) -> list[Line] | None:
    """The lines, or None where the file was refused."""
    with gzip.GzipFile(fileobj=io.BytesIO(found)) as file, contextlib.suppress(Invalid):
        return list(Reader(file, "a file").lines())
    return None


@budget(100)
@given(_lines)
def test_what_was_written_is_read(lines: list[Line]) -> None:
    assert read(content(lines)) == lines


@budget(100)
@given(_lines, st.data())
def test_what_was_changed_is_refused(lines: list[Line], data: st.DataObject) -> None:
    """A byte of the text, or a line that is gone, there twice or elsewhere."""
    text = gzip.decompress(content(lines))
    kept = text.splitlines(keepends=True)
    at, to = (data.draw(st.integers(0, len(kept) - 1)) for _ in range(2))
    changed = data.draw(st.sampled_from(["byte", "gone", "twice", "elsewhere"]))
    if changed == "byte":
        place = data.draw(st.integers(0, len(text) - 1))
        kept = [text[:place] + bytes([data.draw(st.integers(0, 255))]) + text[place + 1 :]]
    elif changed == "gone":
        del kept[at]
    elif changed == "twice":
        kept.insert(at, kept[to])
    else:
        kept.insert(at, kept.pop(to))
    assert read(gzip.compress(b"".join(kept))) in (None, lines)


@budget(100)
@given(st.binary(max_size=100) | st.binary(max_size=100).map(gzip.compress))
def test_what_is_no_backup_is_refused(found: bytes) -> None:
    assert read(found) is None


@budget(100)
@given(_lines, st.data())
def test_what_is_cut_off_is_refused(lines: list[Line], data: st.DataObject) -> None:
    """But for gzip's own checksum at the very end: the lines have one themselves."""
    whole = content(lines)
    assert read(whole[: data.draw(st.integers(0, len(whole) - 1))]) in (None, lines)
