"""The channels by which what runs inside a pod tells more than Kubernetes would."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.kubernetes.wrapper import RESULT_READ_BYTES, End, end_in, literal, result_in
from agents.runtimes.shared import RESULT_LIMIT_BYTES
from datamodel.errors import Invalid, Transient


def expanded(text: str) -> str:
    """As the kubelet does where no variable is defined (k8s.io/kubernetes, third_party/forked/golang/expansion)."""
    out, at = "", 0
    while at < len(text):
        if text[at] == "$" and text[at + 1 : at + 2] == "$":
            at += 1
        out += text[at]
        at += 1
    return out


@given(st.text(alphabet="$()aB "))
def test_what_is_escaped_comes_out_as_it_was(text: str) -> None:
    assert expanded(literal(text)) == text
    assert "$(" not in literal(text).replace("$$", "")


def framed(content: bytes) -> bytes:
    return b"base64\n" + base64.encodebytes(content) + b"end\n"


@pytest.mark.parametrize("content", [b"", b"{}\n", bytes(RESULT_LIMIT_BYTES)])
def test_a_result_comes_through_its_frame(content: bytes) -> None:
    assert result_in(framed(content)) == content
    assert len(framed(content)) < RESULT_READ_BYTES


def test_no_result_is_none() -> None:
    assert result_in(b"none\nend\n") is None


@pytest.mark.parametrize("log", [b"large\nend\n", b"closed\nend\n"])
def test_a_result_that_cannot_be_taken_is_told(log: bytes) -> None:
    with pytest.raises(Invalid):
        result_in(log)


@given(st.integers(0, len(framed(bytes(200))) - 1))
def test_a_frame_that_is_cut_short_is_none(size: int) -> None:
    with pytest.raises(Transient):
        result_in(framed(bytes(200))[:size])


@given(st.binary(max_size=100))
def test_anything_else_is_no_result(log: bytes) -> None:
    if log != b"none\nend\n":
        with pytest.raises((Transient, Invalid)):
            result_in(log)


@pytest.mark.parametrize(
    ("message", "end"),
    [
        ("0\n", End(0)),
        ("137\n", End(137)),
        ("127 shell /bin/zsh\n", End(127, "shell", "/bin/zsh")),
        ("127 command /no such\nthing\n", End(127, "command", "/no such\nthing")),
        ("", None),
        ("7 tigers", None),
        ("1234", None),
    ],
)
def test_the_end_of_a_step_is_what_its_wrapper_left(message: str, end: End | None) -> None:
    assert end_in(message) == end
