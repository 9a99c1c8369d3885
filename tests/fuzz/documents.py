"""JSON documents that are nearly right: valid ones with parts replaced, removed, doubled or buried."""

import json
import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

_TOKEN = "@token"
_TOKENS = (
    "NaN",
    "-Infinity",
    "1e999",
    "-0.0",
    "9" * 4_300,
    "9" * 5_000,
    "0." + "0" * 400 + "1",
    "[" * 70 + "]" * 70,
    '{"a":' * 70 + "1" + "}" * 70,
    "[" * 2_000 + "]" * 2_000,
    '{"a":' * 100_000 + "1" + "}" * 100_000,
    "[" * 3,
    '"\\ud800"',
    '"\\u0000"',
    '"\x01"',
    "+1",
    "01",
    "tru",
    "",
)
"""What no encoder would write: the mark of one in a document is replaced by it in the text."""

_ODD: tuple[Any, ...] = (
    *("", "\x00", "\ud800", "A", "a/b", "../x", "*", "e-0", "x" * 70_000, "2030-02-30T00:00:00Z"),
    *(
        None,
        True,
        -1,
        0,
        100.5,
        101,
        2**31,
        2**63,
        2**64,
        -(10**400),
        5e-324,
        1e308,
        [],
        {},
        [[]],
        {"": None},
        {"a": "\x00"},
    ),
)
"""What any part of a document may be instead."""


def swept(document: Any) -> Iterator[bytes]:
    """The texts of a document with each of its parts in turn replaced by everything that is odd, removed or doubled."""
    yield encoded(document)
    for number, _ in enumerate(_places(document)):
        for odd in (*_ODD, *(f"{_TOKEN}{token}@" for token in range(len(_TOKENS)))):
            copy = deepcopy(document)
            inside, key = list(_places(copy))[number]
            inside[key] = odd
            yield _with_tokens(encoded(copy))
        copy = deepcopy(document)
        inside, key = list(_places(copy))[number]
        if isinstance(inside, dict):
            yield encoded(copy).replace(b"{", b"{" + encoded(key) + b":0,", 1)
        del inside[key]
        yield encoded(copy)


_texts = st.text(max_size=20) | st.sampled_from(
    [
        "",
        "\x00",
        "a\x00b",
        "\ud800",
        "A",
        "-",
        "a/b",
        "../x",
        "*",
        ">",
        "e",
        "e-0",
        "e-٣",
        "\u2028",
        "é" * 40,
        "x" * 70_000,
    ]
)
_numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([-1, 0, 101, 2**31, 2**53 + 1, 2**63, 2**64, -(10**400), 5e-324, 1e308])
)
_marks = st.integers(0, len(_TOKENS) - 1).map(lambda number: f"{_TOKEN}{number}@")
strange = (
    _texts
    | _numbers
    | _marks
    | st.none()
    | st.booleans()
    | st.lists(_texts | _numbers, max_size=3)
    | st.dictionaries(_texts, _texts | _numbers, max_size=3)
)
"""Any value where another one was expected."""


def damaged(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """The bytes of documents of which up to three parts are not as they were, or of which the text itself is broken."""
    return _spoiled(documents).flatmap(_cut) | _spoiled(documents)


def anything(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Damaged documents mostly, whole ones, and bytes that were never any."""
    return damaged(documents) | st.binary(max_size=64) | documents.map(encoded)


def encoded(document: Any, *, escaped: bool = True) -> bytes:
    """The text of a document, as strict as its values are."""
    return json.dumps(document, ensure_ascii=escaped).encode(errors="surrogatepass")


@st.composite
def _spoiled(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> bytes:
    document = deepcopy(draw(documents))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if places:
            inside, key = draw(st.sampled_from(places))
            _spoil(draw, inside, key)
    text = encoded(document, escaped=draw(st.booleans()))
    text = _with_tokens(text)
    if draw(st.integers(0, 5)) == 0 and (
        names := sorted({key for _, key in _places(document) if isinstance(key, str)})
    ):
        twin = encoded(draw(st.sampled_from(names))) + b":" + encoded(draw(_texts)) + b","
        text = text.replace(b"{", b"{" + twin, 1)
    return text


def _with_tokens(text: bytes) -> bytes:
    for number, token in enumerate(_TOKENS):
        text = text.replace(f'"{_TOKEN}{number}@"'.encode(), token.encode())
    return text


def _spoil(draw: st.DrawFn, inside: Any, key: Any) -> None:
    match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "bury"])):
        case "replace":
            inside[key] = draw(strange)
        case "remove":
            del inside[key]
        case "add" if isinstance(inside, dict):
            inside[draw(_texts)] = draw(strange)
        case "add":
            inside.extend([inside[key]] * draw(st.sampled_from([1, 2, 70])))
        case "bury":
            for _ in range(draw(st.sampled_from([1, 2, 63, 64, 65]))):
                inside[key] = [inside[key]]


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a document, as what it is in and its key there."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield document, key
            yield from _places(value)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield document, index
            yield from _places(value)


def _cut(text: bytes) -> st.SearchStrategy[bytes]:
    """The text with a slice of it lost, doubled or overwritten."""
    ends = st.integers(0, len(text))
    return st.builds(
        lambda start, end, middle: text[: min(start, end)] + middle + text[max(start, end) :],
        ends,
        ends,
        st.sampled_from([b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"{", b'"', b"\\", text[:40]]),
    )


def finite(value: Any) -> bool:
    """Whether a value that was read holds only numbers that JSON can write."""
    if isinstance(value, dict):
        return all(finite(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(finite(inner) for inner in value)
    return not isinstance(value, float) or math.isfinite(value)
