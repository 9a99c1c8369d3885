"""Windows of reports as agents write them, for who damages them."""

from typing import Any

from hypothesis import strategies as st

from datamodel.scheduling.steps import STEPS_LIMIT
from datamodel.scheduling.wire import WIRE_VERSION

ATTEMPT: dict[str, Any] = {
    "type": "attempt",
    "edge": "e",
    "attempt": "first",
    "phase": "succeeded",
    "at": "2030-01-01T00:00:00Z",
    "percent": 50.5,
    "step": 1,
    "exitCodes": [0],
    "reason": "r",
    "message": "m",
    "outputs": {"n": 1},
    "startedAt": "2030-01-01T00:00:00Z",
}
EDGE: dict[str, Any] = {
    "type": "edge",
    "edge": "e",
    "at": "2030-01-01T00:00:00Z",
    "cpu": 1,
    "memoryBytes": 1,
    "powerW": 1,
    "runtime": "process",
    "agentVersion": "1",
    "labels": {"zone": "a"},
}
WINDOW: dict[str, Any] = {
    "version": WIRE_VERSION,
    "site": "s",
    "agent": "e",
    "incarnation": "1",
    "first": 1,
    "reports": [ATTEMPT, EDGE],
}
"""One of each with everything that it may say."""

_small = st.integers(0, 3)
_moments = st.builds(
    lambda at, zone: at.isoformat() + zone, st.datetimes(), st.sampled_from(["Z", "+00:00", "-11:30", "+23:59", ""])
)
_outputs = st.dictionaries(
    st.sampled_from(["n", "list"]), st.integers() | st.lists(st.floats(allow_nan=False), max_size=2)
)
_labels = st.dictionaries(
    st.from_regex(r"\A([a-z]{1,250}/)?[a-z]{1,40}\Z"), st.from_regex(r"\A[A-Za-z0-9]{0,63}\Z"), max_size=70
)


def attempt_reports(attempts: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Reports about attempts of the edge `e`."""
    return st.fixed_dictionaries(
        {
            "type": st.just("attempt"),
            "edge": st.just("e"),
            "attempt": attempts,
            "phase": st.sampled_from(["running", "running", "succeeded", "failed", "interrupted", "stopped"]),
            "at": _moments,
        },
        optional={
            "percent": st.floats(-1, 101) | st.sampled_from([0, 100]),
            "step": st.integers(-1, STEPS_LIMIT + 1),
            "exitCodes": st.lists(st.integers(-1, 256), max_size=STEPS_LIMIT + 1),
            "reason": st.text(max_size=5),
            "message": st.text(max_size=5),
            "outputs": _outputs,
            "startedAt": _moments,
        },
    )


edge_reports: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "type": st.just("edge"),
        "edge": st.just("e"),
        "at": _moments,
        "cpu": st.sampled_from([0.25, 1, 4096]),
        "memoryBytes": st.sampled_from([1, 2**50]),
        "powerW": st.sampled_from([0.001, 1e9]),
        "runtime": st.sampled_from(["process", "simulated"]),
        "agentVersion": st.just("1"),
    },
    optional={"labels": _labels},
)


def windows(reports: st.SearchStrategy[Any], agent: str = "e") -> st.SearchStrategy[dict[str, Any]]:
    """Windows of site `s`."""
    return st.fixed_dictionaries(
        {
            "version": st.just(WIRE_VERSION),
            "site": st.just("s"),
            "agent": st.just(agent),
            "incarnation": st.sampled_from(["1", "2"]),
            "first": st.integers(1, 4) | _small,
            "reports": st.lists(reports, max_size=3),
        }
    )
