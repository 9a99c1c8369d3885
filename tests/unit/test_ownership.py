"""Ownership by itself: what apply may take away, and whose a field is then."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from datamodel.kinds import Document
from datamodel.ownership import applied, escaped, owned, transferred

_names = st.sampled_from(["a", "b", "a/b", "~1"])
_leaves: st.SearchStrategy[Any] = st.one_of(st.integers(0, 2), st.just([1]), st.just({}))
_objects = st.dictionaries(_names, st.recursive(_leaves, lambda inner: st.dictionaries(_names, inner, max_size=3)))
_writers = st.sampled_from(["ann", "ben", "cat"])
_writes = st.lists(st.tuples(_writers, st.booleans(), _objects), max_size=6)


def leaves(document: Any, pointer: str = "/spec") -> dict[str, Any]:
    if not isinstance(document, dict) or not document:
        return {pointer: document}
    return {p: v for name, inner in document.items() for p, v in leaves(inner, f"{pointer}/{escaped(name)}").items()}


def owner(owners: dict[str, str], pointer: str) -> str:
    prefixes = [found for found in owners if pointer == found or pointer.startswith(found + "/")]
    return owners[max(prefixes, key=len)]


def written(writes: list[tuple[str, bool, Document]]) -> tuple[Document, dict[str, str], dict[str, str]]:
    """A spec and its owners after some applies and replacements, and by leaf who changed it last, counted by hand."""
    spec: Document = {}
    owners, last = {"": "ann"}, {"/spec": "ann"}
    for actor, applies, wanted in writes:
        after = applied(owners, spec, wanted, actor, "/spec") if applies else wanted
        last = {
            pointer: last[pointer] if pointer in last and leaves(spec).get(pointer, _NONE) == value else actor
            for pointer, value in leaves(after).items()
        }
        owners, spec = transferred(owners, owned(spec, {}), owned(after, {}), actor), after
    return spec, owners, last


_NONE = object()


@given(_writes)
def test_a_leaf_is_its_last_writers(writes: list[tuple[str, bool, Document]]) -> None:
    spec, owners, last = written(writes)
    assert {pointer: owner(owners, pointer) for pointer in leaves(spec)} == last
    assert "" in owners


@given(_writes)
def test_nothing_is_said_twice(writes: list[tuple[str, bool, Document]]) -> None:
    spec, owners, _ = written(writes)
    everything = {**leaves(spec), "/metadata/labels": {}}
    for pointer in owners.keys() - {""}:
        rest = {found: name for found, name in owners.items() if found != pointer}
        assert any(owner(owners, leaf) != owner(rest, leaf) for leaf in everything)


@given(_writes, _writers, _objects)
def test_apply_takes_from_others_only_what_it_names(
    writes: list[tuple[str, bool, Document]], actor: str, wanted: Document
) -> None:
    spec, owners, _ = written(writes)
    after, named = leaves(applied(owners, spec, wanted, actor, "/spec")), leaves(wanted)
    for pointer, value in leaves(spec).items():
        others = owner(owners, pointer) != actor
        within = any(pointer == n or pointer.startswith(n + "/") or n.startswith(pointer + "/") for n in named)
        if others and not within:
            assert after.get(pointer, _NONE) == value
        if not others and not within:
            assert pointer not in after


@given(_writes, _writers, _objects)
def test_what_is_named_is_set(writes: list[tuple[str, bool, Document]], actor: str, wanted: Document) -> None:
    spec, owners, _ = written(writes)
    after = leaves(applied(owners, spec, wanted, actor, "/spec"))
    for pointer, value in leaves(wanted).items():
        if value != {}:
            assert after[pointer] == value


@given(_writes, _writers, _objects)
def test_applying_twice_changes_nothing(writes: list[tuple[str, bool, Document]], actor: str, wanted: Document) -> None:
    spec, owners, _ = written(writes)
    once = applied(owners, spec, wanted, actor, "/spec")
    then = transferred(owners, owned(spec, {}), owned(once, {}), actor)
    again = applied(then, once, wanted, actor, "/spec")
    assert again == once
    assert transferred(then, owned(once, {}), owned(again, {}), actor) == then


@given(_objects, _objects)
def test_a_writer_alone_replaces_all(spec: Document, wanted: Document) -> None:
    assert applied({"": "ann"}, spec, wanted, "ann", "/spec") == wanted
