"""A node that was read as text is the node that was written: whoever reads it, compares it, changes it or encodes it."""

from datetime import UTC, datetime
from operator import ne
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from datamodel.node import Node
from datamodel.postgres.stored import StoredNode

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)  # no surrogates: what is stored is UTF-8
_PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    _PLAIN | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=4,
)
_DOCUMENTS = st.dictionaries(_TEXTS, _VALUES, max_size=3)


def as_written(spec: Any, status: Any) -> Node:
    return Node("/a/b", "u", "Kind", {"l": "v"}, spec, status, {}, ("f",), 2, 7, 3, AT, owners={"": "me"})


def as_read(spec: Any, status: Any) -> Node:
    spec, status = (msgspec.Raw(msgspec.json.encode(document).decode()) for document in (spec, status))
    return StoredNode("/a/b", "u", "Kind", {"l": "v"}, spec, status, {}, ("f",), 2, 7, 3, AT, owners={"": "me"})


@given(_DOCUMENTS, _DOCUMENTS)
def test_it_says_what_was_written(spec: dict[str, Any], status: dict[str, Any]) -> None:
    node = as_read(spec, status)
    assert (node.spec, node.status) == (spec, status)
    assert node.spec is node.spec, "it is decoded once"
    assert as_read(spec, status).status == status, "whichever is read first"
    assert structs.asdict(node) == structs.asdict(as_written(spec, status))


@given(_DOCUMENTS, _DOCUMENTS)
def test_it_equals_what_was_written(spec: dict[str, Any], status: dict[str, Any]) -> None:
    written = as_written(spec, status)
    assert as_read(spec, status) == written
    assert written == as_read(spec, status)
    assert not ne(as_read(spec, status), written), "which is asked apart"
    assert not ne(written, as_read(spec, status))
    assert [as_read(spec, status)] == [as_read(spec, status)]
    assert as_read(spec, {**status, "more": 1}) != written
    assert written != as_read({**spec, "more": 1}, status)
    assert structs.replace(written, version=8) != as_read(spec, status)


@given(_DOCUMENTS, _DOCUMENTS)
def test_it_is_encoded_as_what_was_written_whether_it_was_read_or_not(
    spec: dict[str, Any], status: dict[str, Any]
) -> None:
    node, written = as_read(spec, status), msgspec.json.encode(as_written(spec, status))
    assert msgspec.json.encode(node) == written
    assert msgspec.json.decode(msgspec.json.encode(node.encodable_spec)) == spec
    assert (node.spec, node.status) == (spec, status)
    assert msgspec.json.encode(node) == written
    assert node.encodable_spec == spec


@given(_DOCUMENTS, _DOCUMENTS)
def test_what_of_it_is_replaced_is_the_new_one_and_the_rest_as_it_was(
    spec: dict[str, Any], status: dict[str, Any]
) -> None:
    changed = structs.replace(as_read(spec, status), status={"phase": "done"}, version=8)
    assert changed == structs.replace(as_written(spec, {"phase": "done"}), version=8)
    assert changed.phase == "done"
