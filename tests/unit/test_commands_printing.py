"""What commands print, to the letter."""

import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.apply import difference
from gateway.commands.cells import age, clean, shown
from gateway.commands.client import failure_of
from gateway.commands.deadline import seconds_of
from gateway.commands.describe import lines_of
from gateway.commands.failure import Exit, Failure
from gateway.commands.files import documents_in, wanted_of
from gateway.commands.names import target
from gateway.commands.printing import Format, print_nodes, text_of
from gateway.commands.selection import Selection
from gateway.commands.submit import located
from tests.commands import kinds

KINDS = kinds()
JOB = KINDS.named("job")
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Terminal(StringIO):
    """A file that says it is one."""

    def isatty(self) -> bool:
        return True


def job(name: str, phase: str, percent: float, **spec: Any) -> dict[str, Any]:
    path = f"/config/job-groups/default/jobs/{name}"
    meta = {"name": name, "path": path, "uid": "1" * 32, "kind": "Job", "labels": {"team": "red"}, "version": 7}
    return {
        "metadata": {**meta, "generation": 1, "createdAt": "2026-01-31T11:58:20Z"},
        "spec": {"chunks": 8, **spec},
        "status": {"phase": phase, "percentCompleted": percent, "chunks": {"failed": 0}},
    }


def printed(
    monkeypatch: pytest.MonkeyPatch, output: Format, *, file: StringIO | None = None, now: datetime | None = NOW
) -> str:
    file = file if file is not None else StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    nodes = [job("a", "running", 12.5), job("longer", "failed", 100.0)]
    print_nodes(JOB, nodes, output, now)
    return file.getvalue()


TABLE = """\
NAME            PHASE    DONE  CHUNKS  SPLIT  FAILED  AGE
default/a       running  12%   8       -      0       100s
default/longer  failed   100%  8       -      0       100s
"""


@pytest.mark.parametrize(
    ("as_of", "age"),
    [
        ("2026-01-31T11:58:30Z", "10s"),
        ("2026-01-31T13:58:20+02:00", "0s"),
        ("1234", "2026-01-31T11:58:20Z"),
        ("20260201", "2026-01-31T11:58:20Z"),  # a position, though it could be read as a day
    ],
)
def test_ages_are_those_of_then(monkeypatch: pytest.MonkeyPatch, as_of: str, age: str) -> None:
    lines = printed(monkeypatch, "table", now=Selection(as_of=as_of).now).splitlines()
    assert [line.split()[-1] for line in lines] == ["AGE", age, age]


def test_a_table_is_plain_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(monkeypatch, "table") == TABLE


def test_a_table_has_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured = TABLE.replace("running ", "\x1b[36mrunning\x1b[0m ").replace("failed ", "\x1b[31mfailed\x1b[0m ")
    assert printed(monkeypatch, "table", file=Terminal()) == coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(monkeypatch, "table", file=Terminal()) == TABLE


def test_names_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = printed(monkeypatch, "name").split()
    assert told == ["job/default/a", "job/default/longer"]
    assert target(KINDS, told[:1]).path == "/config/job-groups/default/jobs/a"


def test_yaml_keeps_lines_and_comes_back(tmp_path: Path) -> None:
    node = job("a", "running", 1.0, script="set -e\necho 'ä'\n", at="2026-01-31", word="no")
    text = text_of({"items": [node]}, "yaml")
    assert "script: |\n      set -e\n      echo 'ä'\n" in text
    (tmp_path / "f").write_text(text)
    assert [document for _, document in documents_in(str(tmp_path / "f"))] == [node]
    wanted = wanted_of(KINDS, node, "")
    assert wanted.target.path == node["metadata"]["path"]
    assert wanted.body == {"metadata": {"labels": {"team": "red"}}, "spec": node["spec"]}


def test_a_description_says_it_all() -> None:
    found = target(KINDS, ["job/a"])
    events = [{"position": 7, "at": "2026-01-31T11:59:50Z", "op": "statusChanged", "actor": "progress\x1b[2J"}]
    node = job("a", "running", 12.5, script="x\x1b[2J\n")
    node["metadata"]["links"] = {"after": ["2" * 32, "3" * 32], "group": ["4" * 32]}
    assert "\n".join(lines_of(found, node, events, NOW)) == (
        """\
Name:       default/a
Kind:       Job
Path:       /config/job-groups/default/jobs/a
Labels:     team=red
Created:    2026-01-31T11:58:20Z (100s ago)
Uid:        11111111111111111111111111111111
Version:    7
Generation: 1
Links:      after=22222222222222222222222222222222, 33333333333333333333333333333333, group=44444444444444444444444444444444
Spec:
  chunks: 8
  script: "x\\e[2J\\n"
Status:
  phase: running
  percentCompleted: 12.5
  chunks:
    failed: 0
Events, the newest first:
  POSITION  AGE  EVENT          BY
  7         10s  statusChanged  progress\N{REPLACEMENT CHARACTER}[2J"""
    )


def test_a_difference_is_one_of_what_users_say() -> None:
    before, after = job("a", "running", 1.0), job("a", "pending", 0.0, retries=3)
    assert list(difference("job/a", before, before)) == []
    assert list(difference("job/a", before, after)) == [
        "--- job/a (present)",
        "+++ job/a (applied)",
        "@@ -3,3 +3,4 @@",
        "     team: red",
        " spec:",
        "   chunks: 8",
        "+  retries: 3",
    ]


@pytest.mark.parametrize(
    ("value", "how", "told"),
    [
        (None, "text", "-"),
        ("", "text", "-"),
        (0, "number", "0"),
        (0.25, "number", "0.2"),
        (2.0, "number", "2"),
        (True, "text", "yes"),
        (1536, "bytes", "1.5 KiB"),
        (2**40, "bytes", "1 TiB"),
        (99.6, "percent", "100%"),
        (["a", "b"], "text", "a,b"),
        ("a\nb\x1b[31m", "text", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[31m"),
        ("2026-01-31T11:59:18Z", "age", "42s"),
        ("soon", "age", "soon"),
    ],
)
def test_cells(value: object, how: str, told: str) -> None:
    assert shown(value, how, NOW) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0s"),
        (119, "119s"),
        (190, "3m10s"),
        (3599, "59m"),
        (18_120, "5h2m"),
        (86_399, "23h"),
        (90_000, "1d1h"),
        (10**6, "11d"),
    ],
)
def test_ages(seconds: int, told: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == told


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.INVALID),
        (403, Exit.FORBIDDEN),
        (404, Exit.MISSING),
        (405, Exit.FORBIDDEN),
        (409, Exit.CONFLICT),
        (410, Exit.MISSING),
        (412, Exit.CONFLICT),
        (413, Exit.INVALID),
        (422, Exit.INVALID),
        (500, Exit.UNANSWERED),
        (503, Exit.UNANSWERED),
    ],
)
def test_problems_have_exit_codes(status: int, code: Exit) -> None:
    assert failure_of({"status": status, "detail": "it is so"}).code is code


def test_problems_name_the_field_or_the_option() -> None:
    errors = [{"pointer": "/spec/chunks", "message": "too many"}, {"pointer": "?labelSelector", "message": "odd"}]
    failure = failure_of({"status": 422, "detail": "x", "errors": errors})
    assert failure.sentence == "/spec/chunks: too many; -l: odd; correct that and try again"
    assert "\n" not in Failure("a\nb", "c\x1b").sentence


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: [",
            "f is no YAML or JSON: while parsing a flow node did not find expected node content in line 2, column 1",
        ),
        ('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}", "f is no YAML or JSON: it is nested too deeply"),
        ('{"a": 1' + "0" * 5_000 + "}", "for integer string conversion: value has 5001 digits; correct it"),
        ("- 1", 'is a list; put it into an object, as in {"items": […]}'),
        ("[1]", "is a list"),
        ("5", "is no object"),
        ("a: &x 1\nb: *x", "aliases are not taken (line 2)"),
        ("a: 1\na: 2", "'a' stands twice (line 2)"),
        ("1: a", "the key '1' needs quotes (line 1)"),
        ("a: !!python/object:os.system {}", "is no YAML or JSON"),
        ("a: .inf", "f: /a: no number that can be written is so large"),
        ('{"a": [1, {"b": -1e400}]}', "f: /a/1/b: no number that can be written is so large"),
        ("a: !!binary aGk=", "is no YAML or JSON"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(Failure) as refused:
        list(documents_in(str(tmp_path / "f")))
    assert told in refused.value.sentence
    assert refused.value.code is Exit.INVALID


def test_a_file_has_several_documents(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("---\na: 1\n---\nitems:\n- b: 2\n- c: 2026-01-31\n---\n")
    found = [(where.removeprefix(str(tmp_path)), document) for where, document in documents_in(str(tmp_path / "f"))]
    assert found == [
        ("/f, document 1", {"a": 1}),
        ("/f, document 2, /items/0", {"b": 2}),
        ("/f, document 2, /items/1", {"c": "2026-01-31"}),
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"metadata": {"path": "/config/job-groups/night/jobs/a"}},
        {"kind": "Job", "metadata": {"path": "/config/job-groups/night/jobs/a", "name": "a"}},
        {"kind": "job", "metadata": {"path": "/config/job-groups/night/jobs/a", "name": "night/a"}},
        {"metadata": {"kind": "jobs", "name": "night/a"}},
    ],
)
def test_a_document_says_where_it_is_in_several_ways(document: dict[str, Any]) -> None:
    assert wanted_of(KINDS, document, "day").target.title == "job/night/a"
    scheduler = wanted_of(KINDS, {"metadata": {"path": "/config/scheduler", "name": "scheduler"}}, "")
    assert scheduler.target.path == "/config/scheduler"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"metadata": {"path": "/config/job-groups/night/jobs/a#x"}}, "/metadata/path: 'a#x' is no name"),
        (
            {"metadata": {"path": "/config/job-groups/night?dryRun=true"}},
            "/metadata/path: 'night?dryRun=true' is no name",
        ),
        ({"metadata": {"path": "x/config/scheduler"}}, "/metadata/path: no kind of node can be at x/config/scheduler"),
        ({"metadata": {"path": 5}}, "/metadata/path: a path is a text"),
        (
            {"kind": "edge", "metadata": {"path": "/config/job-groups/night"}},
            "/metadata/path: /config/job-groups/night is job-group/night, and not what /kind says",
        ),
        (
            {"metadata": {"path": "/config/job-groups/night/jobs/a", "name": "b"}},
            "/metadata/path: /config/job-groups/night/jobs/a is job/night/a, and not what /metadata/name says",
        ),
        (
            {"metadata": {"path": "/config/job-groups/night/jobs/a", "name": "day/a"}},
            "/metadata/path: /config/job-groups/night/jobs/a is job/night/a, and not what /metadata/name says",
        ),
        ({"kind": "jobz", "metadata": {"name": "a"}}, "/kind: there is no kind 'jobz'"),
        ({"kind": "job", "metadata": {"name": "A"}}, "/metadata/name: 'A' is no name"),
        ({"kind": "job", "metadata": {}}, "/metadata/name: a name is required"),
        ({"metadata": {"name": "a"}}, "/kind: a kind is required"),
        ({"kind": "job"}, "/metadata: an object is required"),
    ],
)
def test_a_document_that_says_no_place_or_two_is_refused(document: dict[str, Any], told: str) -> None:
    with pytest.raises(Failure) as refused:
        wanted_of(KINDS, document, "")
    assert refused.value.sentence.startswith(f"{told}; ")
    assert refused.value.code is Exit.INVALID


def test_numbers_are_decimal_and_times_of_the_day_are_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(
        "{a: 12:30, b: 1:30.5, c: 12, d: 1.5, e: 1_000, f: -3, g: 190:20:30, h: yes, i: ~, j: 1e3}"
    )
    ((_, document),) = documents_in(str(tmp_path / "f"))
    assert document == {
        "a": "12:30",
        "b": "1:30.5",
        "c": 12,
        "d": 1.5,
        "e": 1000,
        "f": -3,
        "g": "190:20:30",
        "h": True,
        "i": None,
        "j": "1e3",
    }


def test_what_is_wrong_with_several_jobs_names_the_document() -> None:
    errors = [{"pointer": "/jobs/1/name", "message": "odd"}, {"pointer": "/jobs/0", "message": "no"}]
    several = failure_of({"status": 422, "detail": "x", "errors": errors})
    places = ["f, document 1", "f, document 2"]
    assert (
        located(several, places).sentence == "f, document 2: /name: odd; f, document 1: no; correct that and try again"
    )
    whole = failure_of({"status": 413, "detail": "too large", "errors": [{"pointer": "", "message": "too large"}]})
    assert located(whole, places).sentence == "the jobs together: too large; correct that and try again"
    one = failure_of({"status": 422, "detail": "x", "errors": [{"pointer": "/steps", "message": "Field required"}]})
    assert located(one, ["job.json"]).sentence == "job.json: /steps: Field required; correct that and try again"


def test_times_are_written_with_their_unit() -> None:
    assert [seconds_of(text) for text in ("30", "1.5s", "10m", "2h", "1d")] == [30, 1.5, 600, 7200, 86400]
    for text in ("", "0", "-1s", "1w", "soon", "367d", "999999999d"):
        with pytest.raises(Failure):
            seconds_of(text)


def test_what_moves_a_cursor_is_not_printed() -> None:
    assert clean("a\x1b[2J\u202eb\r\n") == "a\N{REPLACEMENT CHARACTER}[2J" + "\N{REPLACEMENT CHARACTER}b" + (
        "\N{REPLACEMENT CHARACTER}" * 2
    )
