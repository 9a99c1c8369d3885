"""What an engine tells of containers, some of which anybody may have made and labelled."""

import io
import tarfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.docker.archive import result_in
from agents.runtimes.docker.complaints import last_complaint
from agents.runtimes.docker.container import (
    ATTEMPT_LABEL,
    EDGE_LABEL,
    INDEX_LABEL,
    SITE_LABEL,
    attempt_in,
    init_error_in,
    observed,
)
from agents.runtimes.docker.pull import error_in
from agents.runtimes.images import is_allowed, is_called
from agents.runtimes.reasons import DISK_FULL, PIDS_EXHAUSTED
from agents.runtimes.shared import RESULT_LIMIT_BYTES
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.images import image_name
from tests.fuzz.budget import budget
from tests.fuzz.documents import anything

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
    return st.tuples(container, st.sampled_from(["", "[FATAL tini (7)] no", "sh: can't fork"]) | st.text(max_size=9))


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


@budget(100)
@given(lines=st.lists(st.text(max_size=30) | st.sampled_from(["sh: can't fork: no", "x: No space left on device"])))
def test_a_complaint_is_one_of_the_lines(lines: list[str]) -> None:
    stderr = "\n".join(lines)
    reason, line = last_complaint(stderr)
    assert reason in {"", PIDS_EXHAUSTED, DISK_FULL}
    assert bool(reason) == bool(line)
    assert line in stderr


@budget(150)
@given(body=anything(st.dictionaries(st.sampled_from(["error", "message", "status"]), st.text(max_size=9))))
def test_what_an_engine_says_of_a_pull_is_an_error_or_none(body: bytes) -> None:
    assert len(error_in(body).encode(errors="surrogatepass")) <= 4 * len(body)


@budget(150)
@given(written=st.from_regex(r"\A[a-z0-9.:/@_-]{1,40}\Z") | st.text(min_size=1))
def test_any_text_is_some_images_name(written: str) -> None:
    assert is_allowed(written, ["*"])
    assert not is_allowed(written, [])
    assert is_called(written, [written])


@budget(100)
@given(
    repository=st.from_regex(r"\A([a-z0-9]{1,5}(\.[a-z]{1,3}|:[0-9]{1,4})/)?[a-z0-9]{1,6}(/[a-z0-9_-]{1,6}){0,2}\Z"),
    ending=st.sampled_from(["", ":1", ":latest", "@sha256:" + "a" * 64]),
)
def test_a_full_name_is_the_name_of_the_same_image(repository: str, ending: str) -> None:
    name = image_name(repository + ending)
    assert image_name(str(name)) == name
    assert is_allowed(repository + ending, [name.repository])
