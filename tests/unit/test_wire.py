"""What agents and the hub say to each other: it survives the way, and garbage is told from it by one kind of error."""

import contextlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling import wire

AT = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_window_leaves_its_reports_as_they_are() -> None:
    good = wire.encode(wire.AttemptReport(edge="e", attempt="a", phase="running", at=AT))
    window = wire.Window(wire.WIRE_VERSION, "s", "e", "1", 7, [msgspec.Raw(good), msgspec.Raw(b'{"type":"news"}')])
    got = wire.decode_window(wire.encode(window))
    assert [bytes(report) for report in got.reports] == [good, b'{"type":"news"}']
    report = wire.decode_report(got.reports[0])
    assert isinstance(report, wire.AttemptReport)
    assert (report.phase, report.at) == ("running", AT)
    with pytest.raises(wire.UNREADABLE):
        wire.decode_report(got.reports[1])


def test_an_older_agents_commit_has_no_gap() -> None:
    assert wire.decode_committed(b'{"incarnation":"1","through":3}') == wire.Committed("1", 3, gap=False)


def test_a_beat_says_how_many_edges_there_are_and_an_older_agents_beat_which() -> None:
    assert wire.encode(wire.Beat()) == b"{}"
    assert wire.encode(wire.Beat(10_000)) == b'{"count":10000}'
    assert [wire.decode_beat(beat).hosted for beat in (b"{}", b'{"count":7}')] == [1, 7]
    assert wire.decode_beat(b'{"site":"s","agent":"g","edges":["g-0","g-1"]}').hosted == 2
    with pytest.raises(wire.UNREADABLE):
        wire.decode_beat(b'{"count":10001}')


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00\xff",
        b"[" * 200_000,
        b'{"type":"attempt","edge":"\xff","attempt":"a","phase":"running","at":"2030-01-01T00:00:00Z"}',
        b'{"type":"attempt","edge":"e","attempt":"a","phase":"flying","at":"2030-01-01T00:00:00Z"}',
        b'{"type":"attempt","edge":"e","attempt":"a","phase":"running","at":"2030-01-01T00:00:00Z","more":1}',
        b'{"type":"attempt","edge":"e","attempt":"a","phase":"succeeded","at":"2030-01-01T00:00:00Z","outputs":{"a":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}}",
    ],
    ids=["empty", "binary", "deep", "no UTF-8", "phase", "unknown field", "deep outputs"],
)
def test_garbage_is_unreadable_and_nothing_worse(garbage: bytes) -> None:
    for decode in (wire.decode_report, wire.decode_window, wire.decode_beat, wire.decode_committed):
        with pytest.raises(wire.UNREADABLE):
            decode(garbage)


@given(st.binary())
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for decode in (wire.decode_report, wire.decode_window):
        with pytest.raises(wire.UNREADABLE):
            decode(body)
    with contextlib.suppress(*wire.UNREADABLE):
        assert 0 <= wire.decode_beat(body).hosted <= wire.GROUP_LIMIT


def test_an_agent_hosts_its_own_edge_or_its_numbered_group() -> None:
    assert wire.hosted_edges("edge", 1) == ["edge"]
    assert wire.hosted_edges("edge-g", 3) == ["edge-g-0", "edge-g-1", "edge-g-2"]
    for edge in (*wire.hosted_edges("edge", 1), *wire.hosted_edges("edge", 12)):
        assert wire.hosts("edge", edge)
    for edge in ("", "edg", "edge-", "edge-x", "edge-0-1", "other-0", "edge-g-0"):
        assert not wire.hosts("edge", edge)
