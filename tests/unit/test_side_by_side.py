"""Workers share the tests as they must: what is of one machine alone goes to one of them."""

import pytest

from tests.side_by_side import ENGINE, SYSTEMS, turn_of, unit_of

RUNTIME = "tests/contract/test_runtime.py"
SOAK, LOAD = "tests/acceptance/test_soak.py::test_a", "tests/acceptance/test_load.py::test_b"


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        (f"{RUNTIME}::test_it_runs[docker]", ENGINE),
        (f"{RUNTIME}::test_it_runs[process]", RUNTIME),
        (f"{RUNTIME}::test_it_runs[a::b]", RUNTIME),
        ("tests/acceptance/test_container_figures.py::test_a", ENGINE),
        (SOAK, SYSTEMS),
        (LOAD, SYSTEMS),
        ("tests/unit/test_properties.py::TestGraph::runTest", "tests/unit/test_properties.py"),
    ],
)
def test_what_shares_more_than_the_machine_is_one_unit(nodeid: str, unit: str) -> None:
    assert unit_of(nodeid) == unit


def test_what_takes_longest_begins_first() -> None:
    later = ["tests/integration/test_a.py::test_a", "tests/world/test_a.py::test_a", "tests/unit/test_a.py::test_a"]
    order = [SOAK, f"{RUNTIME}::test_it_runs[docker]", *later]
    assert sorted(set(order), key=turn_of) == order
