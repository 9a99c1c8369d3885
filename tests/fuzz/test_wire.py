"""What agents, the hub and the feed say to each other: whatever arrives is a message or is told to be none."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.feed.message import decode, encode, event_id
from datamodel.node import Node
from datamodel.ports import Change, Message
from datamodel.scheduling import wire
from datamodel.scheduling.digest import decode_differences, decode_look
from tests.fuzz.budget import budget
from tests.fuzz.documents import anything, finite, swept
from tests.fuzz.reports import ATTEMPT, EDGE, WINDOW, attempt_reports, edge_reports, windows

Decode = Callable[[bytes], Any]

_names = st.sampled_from(["e", "e-0", "e-1"])
_reports = attempt_reports(_names) | edge_reports
_committed = st.fixed_dictionaries(
    {"incarnation": _names, "through": st.integers(0, 9)}, optional={"gap": st.booleans()}
)
_beats = st.fixed_dictionaries(
    {"site": st.just("s"), "agent": _names},
    optional={"count": st.integers(0, 9), "edges": st.lists(_names, max_size=3)},
)
_messages = st.fixed_dictionaries(
    {
        "event": st.just("i"),
        "path": st.just("/config"),
        "uid": st.just("u"),
        "kind": st.just("Config"),
        "version": st.just(7),
    },
    optional={
        "generation": st.integers(0, 9),
        "deleted": st.booleans(),
        "labels": st.dictionaries(_names, _names),
        "spec": st.dictionaries(_names, st.integers()),
        "status": st.dictionaries(_names, st.lists(st.text(max_size=3), max_size=2)),
    },
)

_looks = st.fixed_dictionaries(
    {
        "number": st.integers(0, 9),
        "edges": st.integers(1, 9),
        "sums": st.sampled_from(["0" * 16, "0123456789abcdef" * 3]),
    },
    optional={"missed": st.lists(_names, max_size=8), "healed": st.integers(0, 9)},
)
_differences = st.fixed_dictionaries(
    {"number": st.integers(0, 9), "through": st.integers(0, 9)},
    optional={
        "buckets": st.dictionaries(
            st.integers(0, 9).map(str), st.dictionaries(_names, st.integers(0, 9), max_size=3), max_size=3
        )
    },
)

DECODERS: list[tuple[str, Decode, st.SearchStrategy[Any]]] = [
    ("report", wire.decode_report, _reports),
    ("window", wire.decode_window, windows(_reports)),
    ("committed", wire.decode_committed, _committed),
    ("beat", wire.decode_beat, _beats),
    ("look", decode_look, _looks),
    ("differences", decode_differences, _differences),
    ("message", decode, _messages),
    ("event", event_id, _messages),
]


@pytest.mark.parametrize(("decoder", "valid"), [d[1:] for d in DECODERS], ids=[d[0] for d in DECODERS])
@budget(120)
@given(data=st.data())
def test_bytes_are_a_message_or_unreadable(decoder: Decode, valid: st.SearchStrategy[Any], data: st.DataObject) -> None:
    check(decoder, data.draw(anything(valid)))


WHOLE: list[tuple[Decode, Any]] = [
    (wire.decode_report, ATTEMPT),
    (wire.decode_report, EDGE),
    (wire.decode_window, WINDOW),
    (wire.decode_committed, {"incarnation": "1", "through": 1, "gap": True, "later": 1}),
    (wire.decode_beat, {"site": "s", "agent": "e", "count": 3, "edges": ["e"]}),
    (decode_look, {"number": 1, "edges": 2, "sums": "0" * 32, "missed": ["e/attempts/a"], "healed": 1}),
    (decode_differences, {"number": 1, "through": 2, "buckets": {"0": {"e/attempts/a": 3}}, "later": 1}),
    (decode, {"path": "/config", "uid": "u", "kind": "Config", "version": 7, "spec": {"a": 1}, "later": 1}),
    (event_id, {"event": "i", "path": "/config", "spec": {"a": 1}}),
]


@pytest.mark.parametrize(("decoder", "document"), WHOLE)
def test_any_part_may_be_anything(decoder: Decode, document: Any) -> None:
    for body in swept(document):
        check(decoder, body)


def check(decoder: Decode, body: bytes) -> None:
    try:
        found = decoder(body)
    except wire.UNREADABLE:
        return
    if isinstance(found, msgspec.Struct):
        assert finite(msgspec.to_builtins(found, builtin_types=(msgspec.Raw,)))
        again = decoder(wire.encode(found))
        assert wire.encode(again) == wire.encode(found)


@budget(120)
@given(
    st.builds(
        wire.AttemptReport,
        edge=st.text(),
        attempt=st.text(),
        phase=st.sampled_from(["running", "succeeded", "failed", "interrupted", "stopped"]),
        at=st.datetimes(timezones=st.just(UTC)),
        percent=st.floats(allow_nan=False, allow_infinity=False),
        step=st.integers(),
        exit_codes=st.lists(st.integers()).map(tuple),
        reason=st.text(),
        message=st.text(),
        outputs=st.none() | st.dictionaries(st.text(), st.text() | st.lists(st.booleans())),
        started_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
    | st.builds(
        wire.EdgeReport,
        edge=st.text(),
        at=st.datetimes(timezones=st.just(UTC)),
        cpu=st.floats(allow_nan=False, allow_infinity=False),
        memory_bytes=st.integers(),
        power_w=st.floats(allow_nan=False, allow_infinity=False),
        runtime=st.text(),
        agent_version=st.text(),
        labels=st.dictionaries(st.text(), st.text()),
    )
)
def test_a_report_survives_the_way(report: wire.Report) -> None:
    body = wire.encode(report)
    assert wire.decode_report(body) == report
    (raw,) = wire.decode_window(wire.encode(wire.Window(1, "s", "e", "1", 1, [msgspec.Raw(body)]))).reports
    assert bytes(raw) == body


@budget(60)
@given(
    committed=st.builds(wire.Committed, st.text(), st.integers(), st.booleans()),
    beat=st.builds(wire.Beat, st.integers(0, wire.GROUP_LIMIT), st.text(), st.text(), st.lists(st.text())),
)
def test_commits_and_beats_survive_the_way(committed: wire.Committed, beat: wire.Beat) -> None:
    assert wire.decode_committed(wire.encode(committed)) == committed
    assert wire.decode_beat(wire.encode(beat)) == beat


_documents = st.dictionaries(st.text(), st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False))
_nodes = st.builds(
    Node,
    path=st.just("/config"),
    uid=st.text(),
    kind=st.just("Config"),
    labels=st.dictionaries(st.text(), st.text()),
    spec=_documents,
    status=_documents,
    links=st.dictionaries(st.text(), st.lists(st.text(), min_size=1).map(tuple)),
    finalizers=st.lists(st.text()).map(tuple),
    generation=st.integers(1),
    version=st.integers(1),
    created_version=st.integers(1),
    created_at=st.datetimes(timezones=st.just(UTC)),
    deletion_requested_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@budget(60)
@given(node=_nodes, event=st.text("0123456789abcdef", min_size=1))
def test_a_node_survives_the_feed(node: Node, event: str) -> None:
    body = encode(Change(node.version, event, node.path, node.uid, node.kind, node))
    assert event_id(body) == event
    found = decode(body)
    assert isinstance(found, Message)
    assert (found.path, found.uid, found.version, found.labels) == (node.path, node.uid, node.version, node.labels)
    assert msgspec.json.decode(found.spec) == node.spec
    assert msgspec.json.decode(found.status) == node.status
    gone = decode(encode(Change(9, event, node.path, node.uid, node.kind, None)))
    assert (gone.deleted, gone.version) == (True, 9)
