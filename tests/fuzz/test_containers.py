"""What an engine tells of containers, some of which anybody may have made and labelled."""

import io
import tarfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.docker.archive import result_in
from agents.runtimes.docker.container import (
    ATTEMPT_LABEL,
    EDGE_LABEL,
    INDEX_LABEL,
    SITE_LABEL,
    attempt_in,
    init_error_in,
    observed,
)
from agents.runtimes.shared import RESULT_LIMIT_BYTES
from datamodel.errors import Invalid, Transient
from tests.fuzz.budget import budget

_states: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "Status": st.sampled_from(["created", "running", "paused", "exited", "dead", "removing", "restarting"]),
        "Error": st.sampled_from(["", "no such file"]),
        "ExitCode": st.sampled_from([0, 1, 126, 127, 137]),
        "OOMKilled": st.booleans(),
        "StartedAt": st.sampled_from(["0001-01-01T00:00:00Z", "2030-01-01T00:00:00.123456789Z"]),
        "FinishedAt": st.sampled_from(["0001-01-01T00:00:00Z", "2030-01-01T01:00:00.5+01:00"]),
    }
)
_words = st.sampled_from(["s", "e", "a", "", "32", "-1", "x", "٣", "999999999", "9" * 5_000]) | st.text(max_size=3)
_labels = st.dictionaries(st.sampled_from([SITE_LABEL, EDGE_LABEL, ATTEMPT_LABEL, INDEX_LABEL]), _words)
_ours = st.fixed_dictionaries(
    {
        SITE_LABEL: st.just("s"),
        EDGE_LABEL: st.just("e"),
        ATTEMPT_LABEL: st.just("a"),
        INDEX_LABEL: st.sampled_from("0123"),
    }
)
_headers = st.dictionaries(st.sampled_from(["size", "path", "GNU.sparse.map"]), st.text(max_size=3))
_foreign = st.none() | _labels.filter(lambda labels: len(labels) < 4 or labels[INDEX_LABEL] not in list("0123"))


def _of(labels: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[dict[str, Any], str]]:
    """Containers so labelled, with the error of their init."""
    container = st.fixed_dictionaries(
        {
            "Created": st.just("2030-01-01T00:00:00Z"),
            "State": _states,
            "Config": st.fixed_dictionaries({"Labels": labels}),
        }
    )
    return st.tuples(container, st.sampled_from(["", "[FATAL tini (7)] no"]))


@budget(200)
@given(own=st.lists(_of(_ours), max_size=3), foreign=st.lists(_of(_foreign), max_size=3), data=st.data())
def test_containers_that_are_not_ours_change_nothing(own: list[Any], foreign: list[Any], data: st.DataObject) -> None:
    meant = observed("a", own)
    assert observed("a", data.draw(st.permutations(foreign)) + own) == meant
    assert observed("a", own + foreign) == meant
    assert (meant is None) == (not own)
    if meant is not None:
        assert (meant.site, meant.edge, meant.attempt) == ("s", "e", "a")
        assert len(meant.steps) <= 4


@budget(100)
@given(labels=st.none() | _labels)
def test_only_labels_of_these_edges_name_an_attempt(labels: dict[str, str] | None) -> None:
    found = attempt_in(labels, {"e"})
    assert found is None or (labels is not None and (labels[EDGE_LABEL], labels[ATTEMPT_LABEL]) == ("e", found))


@budget(150)
@given(content=st.binary(max_size=700), data=st.data())
def test_an_archive_is_a_result_or_broken(content: bytes, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("result.json")
        member.size = len(content)
        member.pax_headers = data.draw(
            st.dictionaries(st.sampled_from(["size", "path", "GNU.sparse.map"]), st.text(max_size=3))
        )
        archive.addfile(member, io.BytesIO(content))
    whole = buffer.getvalue()
    start, end = sorted((data.draw(st.integers(0, 1_300)), data.draw(st.integers(0, 1_300))))
    damaged = whole[:start] + data.draw(st.binary(max_size=12)) + whole[end:]
    for body in (damaged, whole[:end], content):
        try:
            found = result_in([body])
        except (Invalid, Transient):
            continue
        assert found is None or len(found) <= RESULT_LIMIT_BYTES


@budget(60)
@given(text=st.text())
def test_an_error_of_init_is_one_of_its_lines(text: str) -> None:
    assert init_error_in(text) in {"", *text.rstrip().split("\n")}
