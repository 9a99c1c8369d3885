"""The syntax of names, labels and paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from datamodel.errors import Invalid
from datamodel.kinds import Name
from datamodel.names import LABELS_LIMIT, check_labels, check_name, is_within, last_name, subject_of

FIELD: TypeAdapter[str] = TypeAdapter(Name)


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a--b", "x" * 63, "edge-g0-7"])
def test_dns_labels(name: str) -> None:
    assert check_name(name) == name
    assert FIELD.validate_python(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "a/b", "ä", "a\n", "x" * 64, "*", ">"])
def test_what_is_no_dns_label(name: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_name(name, "/metadata/group")
    assert raised.value.field == "/metadata/group"
    with pytest.raises(ValidationError):
        FIELD.validate_python(name)


@pytest.mark.parametrize(
    "labels",
    [{}, {"team": "a"}, {"example.com/Team_1": ""}, {"a": "x" * 63}, {f"l{n}": "" for n in range(LABELS_LIMIT)}],
)
def test_labels(labels: dict[str, str]) -> None:
    check_labels(labels)


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"": "a"}, "/metadata/labels/"),
        ({"a/b/c": "a"}, "/metadata/labels/a~1b~1c"),
        ({"a": "x" * 64}, "/metadata/labels/a"),
        ({"a": "-"}, "/metadata/labels/a"),
        ({"a": "b\x00"}, "/metadata/labels/a"),
        ({f"l{n}": "" for n in range(LABELS_LIMIT + 1)}, "/metadata/labels"),
    ],
)
def test_what_is_no_label(labels: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_labels(labels)
    assert raised.value.field == field


_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
_paths = st.lists(_names, min_size=1, max_size=6).map(lambda names: "/" + "/".join(names))


@given(_paths, _names)
def test_a_path_is_within_its_ancestors_alone(path: str, name: str) -> None:
    below = f"{path}/{name}"
    assert is_within(below, path)
    assert is_within(path, path)
    assert not is_within(path, below)
    assert not is_within(f"{path}x", path)
    assert last_name(below) == name


@given(_paths)
def test_a_subject_has_one_token_for_each_segment(path: str) -> None:
    assert subject_of(path).split(".") == path.split("/")[1:]
