"""Selectors: what is written is read back, what is read means what Kubernetes says, and what is wrong is told where."""

import string
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from datamodel.selectors import (
    LENGTH_LIMIT,
    REQUIREMENTS_LIMIT,
    VALUES_LIMIT,
    Requirement,
    Selector,
    field_selector,
    label_selector,
    written_fields,
    written_labels,
)

FIELDS = ("status.phase", "spec.chunks", "metadata.name")

_keys = st.sampled_from(["a", "b", "in", "notin", "example.com/tier", "A_b.c"])
_values = st.sampled_from(["", "x", "y", "in", "v1.2-3_4"])
_sets = st.lists(_values, min_size=1, max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
_requirements = st.one_of(
    st.builds(Requirement, _keys, st.sampled_from(["in", "notin"]), _sets),
    st.builds(Requirement, _keys, st.sampled_from(["exists", "absent"])),
)
_selectors = st.lists(_requirements, max_size=5).map(lambda found: Selector(tuple(found)))
_labels = st.dictionaries(_keys, _values, max_size=4)
_texts = st.text(alphabet=string.ascii_letters + " ,\\=!()'\n", max_size=12).map(str.strip)


@given(selector=_selectors)
def test_what_is_written_is_read_back(selector: Selector) -> None:
    assert label_selector(written_labels(selector)) == selector


@given(terms=st.lists(st.tuples(st.sampled_from(FIELDS), st.booleans(), _texts), max_size=5))
def test_written_fields_are_read_back(terms: list[tuple[str, bool, str]]) -> None:
    selector = Selector(tuple(Requirement(name, "in" if equal else "notin", (text,)) for name, equal, text in terms))
    assert field_selector(written_fields(selector), FIELDS) == selector


@given(selector=_selectors, labels=_labels)
def test_a_selector_matches_as_kubernetes_says(selector: Selector, labels: Mapping[str, str]) -> None:
    def holds(requirement: Requirement) -> bool:
        key, values = requirement.key, requirement.values
        return {
            "in": key in labels and labels[key] in values,
            "notin": key not in labels or labels[key] not in values,
            "exists": key in labels,
            "absent": key not in labels,
        }[requirement.operator]

    assert selector.matches(labels) == all(map(holds, selector.requirements))


@given(text=st.text(alphabet="ab/.-_ ,=!()<>inot\t", max_size=20))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    read = tried(lambda: label_selector(text))
    if isinstance(read, Selector):
        assert label_selector(written_labels(read)) == read
    else:
        assert (read.field, read.message.startswith("column ")) == ("/labelSelector", True)
    read = tried(lambda: field_selector(text, FIELDS))
    assert isinstance(read, Selector) or read.field == "/fieldSelector"


def tried(read: Callable[[], Selector]) -> Selector | Invalid:
    try:
        return read()
    except Invalid as error:
        return error


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", ()),
        (" \t", ()),
        ("a=b", (("a", "in", "b"),)),
        ("a == b", (("a", "in", "b"),)),
        ("a!=b,c", (("a", "notin", "b"), ("c", "exists"))),
        ("a in (x, y ,x)", (("a", "in", "x", "y"),)),
        ("a notin(x)", (("a", "notin", "x"),)),
        ("a in (,x)", (("a", "in", "", "x"),)),
        ("a=", (("a", "in", ""),)),
        ("a=,b!=", (("a", "in", ""), ("b", "notin", ""))),
        ("! a", (("a", "absent"),)),
        ("in in (in)", (("in", "in", "in"),)),
    ],
)
def test_the_syntax_is_kubernetes(text: str, meant: tuple[tuple[str, ...], ...]) -> None:
    assert [(r.key, r.operator, *r.values) for r in label_selector(text).requirements] == [*meant]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (",a", 1),
        ("a,", 3),
        ("a,,b", 3),
        ("a b", 3),
        ("a=b c", 5),
        ("a in x", 6),
        ("a in (x", 8),
        ("a in (x y)", 9),
        ("a > 1", 3),
        ("!", 2),
        ("!a=b", 3),
        ("a=b=c", 4),
        ("-a=b", 1),
        ("a=-b", 3),
        ("a in (x,_)", 9),
    ],
)
def test_what_is_wrong_with_a_label_selector_is_told_by_column(text: str, column: int) -> None:
    with pytest.raises(Invalid, match=rf"^column {column}: ") as refused:
        label_selector(text)
    assert refused.value.field == "/labelSelector"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("phase", 1),
        ("status.phase", 1),
        ("status.phase=a,", 16),
        ("status.phase=a,none=b", 16),
        ("=a", 1),
        ("status.phase=a\x00", 14),
    ],
)
def test_what_is_wrong_with_a_field_selector_is_told_by_column(text: str, column: int) -> None:
    with pytest.raises(Invalid, match=rf"^column {column}: ") as refused:
        field_selector(text, FIELDS)
    assert refused.value.field == "/fieldSelector"


def test_a_field_that_is_not_declared_is_told_with_those_that_are() -> None:
    with pytest.raises(
        Invalid, match=r"'spec\.steps' is not selectable; there are metadata\.name, spec\.chunks, status\.phase"
    ):
        field_selector("spec.steps=1", FIELDS)


def test_a_selector_has_a_size() -> None:
    for text in (
        "a" * (LENGTH_LIMIT + 1),
        ",".join(["a"] * (REQUIREMENTS_LIMIT + 1)),
        f"a in ({','.join(f'v{n}' for n in range(VALUES_LIMIT + 1))})",
    ):
        with pytest.raises(Invalid, match="at most"):
            label_selector(text)
    with pytest.raises(Invalid, match="at most"):
        field_selector(",".join(["spec.chunks=1"] * (REQUIREMENTS_LIMIT + 1)), FIELDS)
