"""What is taken out of bytes, however they are cut, and which bytes those are."""

import base64
import itertools
import json
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.runtimes.protocol import LogPage
from agents.secrets import redaction
from agents.secrets.masks import LEAST_BYTES, PIECE_BYTES, patterns
from agents.secrets.pages import masked_page
from agents.secrets.redaction import MASK, Needles, Redactor, masked
from datamodel.scheduling.logs import Dropped, Part, Record

VALUE = "s3cr3t/w0rd+with=signs & more~"
PATTERNS = st.lists(st.text("ab", min_size=1, max_size=5).map(str.encode), min_size=1, max_size=4)
TEXT = st.text("abc", max_size=40).map(str.encode)


def cut(text: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(text), *(place % (len(text) + 1) for place in at)})
    return [text[first:last] for first, last in itertools.pairwise(places)]


def slowly_masked(text: bytes, patterns: list[bytes]) -> bytes:
    """The same, one byte after the other."""
    covered = [False] * len(text)
    for pattern in patterns:
        for at in range(len(text) - len(pattern) + 1):
            if text[at : at + len(pattern)] == pattern:
                covered[at : at + len(pattern)] = [True] * len(pattern)
    given = b""
    for at, byte in enumerate(text):
        if not covered[at]:
            given += bytes([byte])
        elif at == 0 or not covered[at - 1]:
            given += MASK
    return given


@given(PATTERNS, TEXT, st.lists(st.integers(0, 40), max_size=6))
@example([b"abcab"], b"xxabcab", [6])
@example([b"ab", b"abb"], b"cabbc", [3])
@example([b"aa"], b"caaaaac", [2, 3, 4])
@example([b"a"], b"aa", [1])
@example([b"ab"], b"abab", [2, 3])
def test_where_a_stream_is_cut_changes_nothing(patterns: list[bytes], text: bytes, at: list[int]) -> None:
    for needles in _both_ways(patterns):
        _check_cut(needles, patterns, text, at)


def _check_cut(needles: Needles, patterns: list[bytes], text: bytes, at: list[int]) -> None:
    redactor = Redactor(needles)
    given = b"".join([*(redactor.feed(piece) for piece in cut(text, at)), redactor.close()])
    assert given == slowly_masked(text, patterns) == masked(text, needles)


@given(PATTERNS, TEXT)
def test_what_may_be_completed_is_known(patterns: list[bytes], text: bytes) -> None:
    ends = [
        size for size in range(1, len(text) + 1) if any(p.startswith(text[-size:]) and len(p) > size for p in patterns)
    ]
    for needles in _both_ways(patterns):
        assert needles.begun(text) == max(ends, default=0)


def _both_ways(patterns: list[bytes]) -> list[Needles]:
    """As they are, and among so many others that they are looked up."""
    others = [b"other %d" % number for number in range(redaction.FEW + 1)]
    return [Needles(patterns), Needles([*patterns, *others])]


@given(
    PATTERNS,
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr", "gap"]), st.text("abc", min_size=1, max_size=6)), max_size=9
    ),
    st.lists(st.integers(1, 4), min_size=9, max_size=9),
)
@example([b"ab"], [("stdout", "a"), ("stderr", "a"), ("stdout", "b"), ("stdout", "a")], [1] * 9)
def test_how_a_log_comes_in_pages_changes_nothing(
    patterns: list[bytes], written: list[tuple[str, str]], sizes: list[int]
) -> None:
    """Each stream, between gaps, has no more of a pattern than one byte after the other would leave; what reaches from one
    record to the next has a mask in both."""
    parts: list[Part] = [
        Dropped(0, None)
        if stream == "gap"
        else Record(0, "stdout" if stream == "stdout" else "stderr", 1, text.encode())
        for stream, text in written
    ]
    given: list[Part] = []
    at = 0
    for size in sizes:
        begin = at
        while True:  # as one who asks again gets what was there, and what came since
            end = min(len(parts), at + size)
            page = LogPage(
                str(begin), tuple(parts[begin:end]), tuple(map(str, range(begin + 1, end + 1))), end < len(parts)
            )
            shown = masked_page(page, Needles(patterns), final=end == len(parts))
            if shown.parts or end == len(parts):
                break
            at = end
        given += shown.parts
        at = begin + len(shown.parts)
    rest = LogPage("", tuple(parts[at:]), tuple(map(str, range(len(parts) - at))))
    given += masked_page(rest, Needles(patterns), final=True).parts
    assert len(given) == len(parts)
    for stream in ("stdout", "stderr"):
        mine, theirs = [b""], [b""]
        for before, after in zip(parts, given, strict=True):
            if isinstance(before, Dropped):
                mine.append(b"")
                theirs.append(b"")
            elif before.stream == stream and isinstance(after, Record):
                mine[-1] += before.data
                theirs[-1] += after.data
        for text, shown_text in zip(mine, theirs, strict=True):
            assert shown_text.replace(MASK, b"") == slowly_masked(text, patterns).replace(MASK, b"")


@pytest.mark.parametrize(
    "shown",
    [
        VALUE,
        base64.b64encode(VALUE.encode()).decode(),
        base64.b64encode(VALUE.encode() + b"\n").decode(),
        base64.b64encode(b"user:" + VALUE.encode() + b"@host").decode(),
        base64.b64encode(b"u:" + VALUE.encode() + b"@h").decode(),
        base64.urlsafe_b64encode(b"user1:" + VALUE.encode()).decode(),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        quote(VALUE, safe="").lower(),
        VALUE.encode().hex(),
        VALUE.encode().hex().upper(),
        json.dumps({"password": VALUE}),
        json.dumps({"password": VALUE}).replace("/", "\\/"),
    ],
)
def test_the_usual_spellings_are_known(shown: str) -> None:
    hidden = masked(f"before {shown} after".encode(), Needles(patterns([VALUE]))).decode()
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    for word in (VALUE, "s3cr3t", base64.b64encode(VALUE.encode()).decode()[:16], VALUE.encode().hex()[:16]):
        assert word.lower() not in hidden.lower()


@given(
    st.text(string.printable, min_size=LEAST_BYTES, max_size=3 * PIECE_BYTES).filter(
        lambda value: len(value.strip()) >= 4
    )
)
def test_nothing_of_a_value_is_left(value: str) -> None:
    known = patterns([value])
    if len(value) <= PIECE_BYTES or "\n" not in value:
        assert masked(value.strip().encode(), Needles(known)).strip(MASK) == b""
    lines = [line.strip() for line in value.split("\n") if len(line.strip()) >= 8]
    for line in lines:
        assert masked(line.encode(), Needles(known)).strip(MASK) == b""


def test_a_key_of_many_lines_is_known_line_by_line_and_wrapped() -> None:
    body = base64.b64encode(bytes(range(256)) * 6).decode()
    key = "\n".join(
        ["-----BEGIN KEY-----", *(body[at : at + 64] for at in range(0, len(body), 64)), "-----END KEY-----", ""]
    )
    known = patterns([key])
    for text in (key, key.replace("\n", "\r\n"), base64.encodebytes(key.encode()).decode()):
        left = masked(text.encode(), Needles(known)).replace(MASK, b"").split()
        assert not [line for line in left if len(line) > 8], left
    assert max(map(len, known)) <= 6 * PIECE_BYTES


def test_what_is_too_short_stays() -> None:
    assert patterns(["abc"]) == ()
    assert Needles(patterns([VALUE])).spans(b"nothing here") == []
