"""The parsers of logs: frames of edges, answers of engines, files of shims."""

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.docker.logs import cursor_in, page_of, pieces_in
from agents.runtimes.process import output
from datamodel.errors import Transient
from datamodel.scheduling import logs
from gateway.logs.lines import Line, Lines, Wanted, last_lines
from gateway.rest.logs import text_of
from tests.fuzz.budget import budget

_parts = st.builds(
    logs.Record, st.integers(0, 40), st.sampled_from(logs.STREAMS), st.integers(0, 2**63 - 1), st.binary(max_size=9)
) | st.builds(logs.Dropped, st.integers(0, 40), st.none() | st.integers(0, 2**53))
_frames = st.builds(
    logs.Frame,
    version=st.just(1),
    offset=st.integers(0, 40),
    records=st.lists(_parts, max_size=5).map(tuple),
    position=st.builds(logs.Position, st.integers(0, 40), st.text(max_size=9)),
    taken=st.builds(logs.Taken, *[st.integers(0, 2**53)] * 4, st.booleans()),
    last=st.booleans(),
)


@budget(200)
@given(frame=_frames, data=st.data())
def test_bytes_are_a_frame_or_unreadable_and_a_frame_can_be_shown(frame: logs.Frame, data: st.DataObject) -> None:
    body = bytearray(logs.encode(frame))
    assert logs.decode(bytes(body)) == frame
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[at] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        found = logs.decode(cut)
    except logs.UNREADABLE:
        return
    assert logs.decode(logs.encode(found)) == found
    told = Lines(["a", "b"], Wanted()).of(found)
    text_of(told)
    msgspec.json.encode(told)


@budget(100)
@given(frames=st.lists(_frames, max_size=8), offset=st.integers(0, 60), count=st.integers(0, 9))
def test_frames_in_any_order_tell_each_byte_once(frames: list[logs.Frame], offset: int, count: int) -> None:
    lines = Lines(["a"], Wanted(), offset)
    told = [one for frame in frames for one in lines.of(frame)]
    offsets = [one.offset for one in told]
    assert offsets == sorted(offsets)
    assert all(offset <= one for one in offsets)
    assert sum(isinstance(one, Line) for one in last_lines(told, count)) <= count


@budget(200)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_no_frame_or_one(body: bytes) -> None:
    try:
        logs.decode(body)
    except logs.UNREADABLE:
        return


@budget(100)
@given(answer=st.lists(st.binary(max_size=60), max_size=5), cursor=st.text(max_size=30))
def test_an_engines_answer_is_a_log_or_none(answer: list[bytes], cursor: str) -> None:
    try:
        page_of(pieces_in(answer), 0, cursor_in(cursor), 100)
    except Transient:
        return


@budget(100)
@given(content=st.binary(max_size=200), begin=st.integers(0, 2**62), limit_bytes=st.integers(1, 100))
def test_an_output_file_is_read_or_refused(tmp_path: Path, content: bytes, begin: int, limit_bytes: int) -> None:
    file = tmp_path / "output"
    file.write_bytes(content)
    for after in (0, begin):
        try:
            pieces, _ = output.read(str(file), after, limit_bytes)
        except ValueError:
            continue
        assert all(end <= len(content) for _, end in pieces)
