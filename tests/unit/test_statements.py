"""How rows travel to the writer's function."""

from datetime import UTC, datetime

import pytest

from datamodel.cause import CORRELATION_LIMIT
from datamodel.command import Actor, Command, Unit
from datamodel.errors import Invalid
from datamodel.postgres.statements import WRITE, arguments, array
from datamodel.prepare import prepare
from datamodel.scheduling.model import MODEL
from tests.graph import JOBS, USER

SEPARATOR = "\x1f"


def test_a_column_is_one_text_and_what_has_no_rows_is_null() -> None:
    at = datetime(2020, 1, 1, microsecond=7, tzinfo=UTC)
    writes = {"lock_head": ([at],), "require_event": ([3], ["e"]), "put_marks": ([], [])}
    told = [argument for argument in arguments(writes, 3) if argument]
    assert told == ["1577836800000007", "3", "e"]
    assert len(arguments({}, 0)) == WRITE.count("$")


def test_positions_travel_as_their_distance_from_where_it_was_decided() -> None:
    told = arguments({"require_event": ([40], ["e"]), "report_nodes": (["/a"], ["{}"], ["x"], [43])}, 40)
    assert [argument for argument in told if argument] == ["40", "e", "/a", "{}", ["x"], "3"]


def test_a_value_that_all_rows_share_travels_once_but_for_the_one_that_counts_them() -> None:
    marks = arguments({"put_marks": (["a", "b", "c"], [7, 7, 7])}, 0)
    assert [argument for argument in marks if argument] == [SEPARATOR.join("abc"), "7"]
    facets = arguments({"put_facets": (["/a", "/a"], ["f", "f"], ["K", "K"], ["", ""])}, 0)
    assert [argument for argument in facets if argument] == [f"/a{SEPARATOR}/a", "f", "K", [""]]
    reports = arguments({"report_nodes": (["/a", "/b"], ["{}", "{}"], ["x", "y"], [5, 5])}, 4)
    assert [argument for argument in reports if argument] == [
        f"/a{SEPARATOR}/b",
        "{}",
        ["x", "y"],
        f"1{SEPARATOR}1",
    ], "positions differ anyway"


def test_of_a_column_that_mixes_nulls_only_null_is_shared() -> None:
    def outputs(*texts: str) -> str:
        count = len(texts)
        rows = (
            ["o"] * count,
            [*range(count)],
            [1] * count,
            ["placed"] * count,
            ["/h"] * count,
            [0] * count,
            [0] * count,
        )
        found = arguments({"put_ledger": (*rows, texts)}, 0)
        return str(found[found.index("/h") + 3])

    assert outputs("", "") == ""
    assert outputs("1", "1") == f"1{SEPARATOR}1"
    assert outputs("", "1") == f"{SEPARATOR}1"


def test_values_that_may_be_any_text_travel_one_by_one() -> None:
    facets = (["/a", "/b"], ["f", "f"], ["K", "K"], [SEPARATOR, ""])
    assert [SEPARATOR, ""] in arguments({"put_facets": facets}, 0)


def test_a_word_with_the_separator_in_it_is_refused_before_it_moves_others() -> None:
    with pytest.raises(ValueError, match="in the column name contains the separator"):
        arguments({"put_marks": ([f"a{SEPARATOR}b", "c"], [1, 2])}, 0)
    with pytest.raises(ValueError, match="in the column facet contains the separator"):
        arguments({"put_facets": (["/a", "/b"], [SEPARATOR, SEPARATOR], ["K", "K"], ["", ""])}, 0)


def test_an_arrays_text_quotes_its_members() -> None:
    assert array(()) == "{}"
    assert array(('a"b\\', "c")) == '{"a\\"b\\\\", "c"}'


@pytest.mark.parametrize(
    ("unit", "field"),
    [
        (Unit((Command("delete", JOBS),), USER, key=SEPARATOR), "Idempotency-Key"),
        (Unit((Command("delete", JOBS),), Actor("a\nb", "user")), "/actor"),
        (Unit((Command("delete", JOBS),), USER, cause="\x00"), "/cause"),
        (Unit((Command("delete", JOBS),), USER, correlation="c" * (CORRELATION_LIMIT + 1)), "/correlation"),
    ],
)
def test_what_is_told_of_a_unit_is_printable(unit: Unit, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        prepare(MODEL, unit)
    assert refused.value.field == field
