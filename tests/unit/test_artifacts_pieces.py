"""Pieces, paths and ranges: what is pure about artifacts, for all of them."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.artifacts.deciding import Sent, end_of
from agents.convergence import ReportEnd
from agents.runtimes.protocol import Refusal
from datamodel.artifacts.pieces import PIECE_BYTES, Sealing, count_of, size_of, unsealed
from datamodel.errors import Invalid
from datamodel.parts import normal_spec
from datamodel.scheduling.artifacts import is_shared_path
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.wire import KeptArtifact
from gateway.rest.artifacts import range_of
from tests.graph import STEPS


@given(st.integers(0, 5 * PIECE_BYTES))
def test_the_pieces_of_an_artifact_are_all_of_it(size: int) -> None:
    sizes = [size_of(size, number) for number in range(count_of(size))]
    assert sum(sizes) == size
    assert all(one == PIECE_BYTES for one in sizes[:-1])
    assert all(0 < one <= PIECE_BYTES for one in sizes)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_what_is_sealed_is_unsealed_and_checked(parts: list[bytes]) -> None:
    sealing = Sealing()
    bodies = [sealing.seal(part) for part in parts]
    assert [unsealed(body, len(part)) for body, part in zip(bodies, parts, strict=True)] == parts
    assert sealing.sha256 == hashlib.sha256(b"".join(parts)).hexdigest()


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_piece_that_was_changed_is_found_out(data: bytes, draw: st.DataObject) -> None:
    body = bytearray(Sealing().seal(data))
    at = draw.draw(st.integers(64, len(body) - 1))
    body[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(Invalid):
        unsealed(bytes(body), len(data))
    with pytest.raises(Invalid):
        unsealed(Sealing().seal(data), len(data) + 1)


@given(st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=4), st.integers(0, 3))
def test_equal_pieces_follow_equal_beginnings(parts: list[bytes], at: int) -> None:
    others = [*parts]
    others[at % len(parts)] += b"x"
    mine, yours = Sealing(), Sealing()
    bodies = [(mine.seal(one), yours.seal(other)) for one, other in zip(parts, others, strict=True)]
    assert all(one != other for one, other in bodies[at % len(parts) :])


@pytest.mark.parametrize(
    "path", ["a", "a/b/c", "a b", "..a", "a..", "-", "*", "%2e%2e", "\\", "é", "a\u202eb", "x" * 255, "inputs/a", "~"]
)
def test_an_odd_name_is_a_path(path: str) -> None:
    assert is_shared_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "./a",
        "a/.",
        "a/../b",
        "../a",
        "a\nb",
        "a\x00b",
        "\x7f",
        "x" * 256,
        "é" * 128,
    ],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    assert not is_shared_path(path)
    with pytest.raises(Invalid) as raised:
        normal_spec(Job, {"steps": STEPS, "artifacts": [{"name": "a", "path": path}]})
    assert raised.value.field == "/spec/artifacts/0/path"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"artifacts": []}, "/spec/artifacts"),
        ({"artifacts": [{"name": "a", "path": "a"}] * 2}, "/spec"),
        ({"artifacts": [{"name": "A", "path": "a"}]}, "/spec/artifacts/0/name"),
        ({"artifacts": [{"name": "a", "path": "a", "maxBytes": 0}]}, "/spec/artifacts/0/maxBytes"),
        ({"artifacts": [{"name": "a", "path": "a", "maxBytes": 2**50}]}, "/spec/artifacts/0/maxBytes"),
        ({"artifacts": [{"name": f"a-{k}", "path": "a"} for k in range(17)]}, "/spec/artifacts"),
        ({"inputs": [{"job": "j", "artifact": "a", "path": "a"}]}, "/spec/inputs/0/job"),
        ({"inputs": [{"job": "g/j", "artifact": "a", "path": "../a"}]}, "/spec/inputs/0/path"),
        ({"inputs": [{"job": "g/j", "artifact": "a", "path": "a", "chunk": -1}]}, "/spec/inputs/0/chunk"),
        ({"inputs": [{"job": "g/j", "artifact": "a", "path": path} for path in ("a", "b", "a/c")]}, "/spec"),
        (
            {
                "inputs": [{"job": "g/j", "artifact": "a", "path": "a"}],
                "steps": [{"name": f"s{k}", "image": "i", "script": "x" * 65_000} for k in range(2)],
            },
            "/spec",
        ),
    ],
)
def test_what_is_wrong_with_files_is_named(fields: dict[str, object], pointer: str) -> None:
    with pytest.raises(Invalid) as raised:
        normal_spec(Job, {"steps": STEPS, **fields})
    assert raised.value.field == pointer


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_what_the_standard_says(size: int, first: int, last: int) -> None:
    whole = list(range(size))
    assert _chosen(range_of(f"bytes={first}-", size), whole) == whole[first:]
    assert _chosen(range_of(f"bytes=-{last}", size), whole) == (whole[-last:] if last else [])
    found = range_of(f"bytes={first}-{last}", size)
    assert found is None if last < first else _chosen(found, whole) == whole[first : last + 1]


@pytest.mark.parametrize("header", ["", "bytes", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes=1-0"])
def test_what_is_no_range_is_none(header: str) -> None:
    assert range_of(header, 10) is None


_KEPT = (KeptArtifact("a", 1, "0" * 64),)
_sent: st.SearchStrategy[Sent] = st.sampled_from([None, _KEPT, Refusal("R", "m")])


@given(st.sampled_from(["run", "stop", "abandon"]), _sent, st.lists(st.integers(0, 3)).map(tuple))
def test_only_what_is_at_the_hub_has_succeeded(intent: str, sent: Sent, codes: tuple[int, ...]) -> None:
    end = end_of(ReportEnd("succeeded", codes), intent, sent)
    if end is None:
        assert (intent, sent) == ("run", None)
        return
    assert end.exit_codes == codes
    assert (end.phase == "succeeded") == isinstance(sent, tuple)
    assert end.artifacts == (sent if isinstance(sent, tuple) else ())
    assert end.phase != "stopped" or intent != "run"
    assert end.phase == "succeeded" or end.reason


def _chosen(found: tuple[int, int] | None, whole: Sequence[int]) -> Sequence[int]:
    assert found is not None
    return whole[found[0] : found[1]] if found[0] < found[1] else []
