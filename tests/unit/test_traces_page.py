"""docs/traces.md against the code: its flags, figures and reasons."""

import inspect
import re

import pytest

from datamodel.errors import Invalid
from sim.bench.policies import BAR_PERCENT
from sim.chaos.machine import ROOT
from sim.traces import workload
from sim.traces.__main__ import trace
from sim.traces.edges import FLEET, edges_of
from sim.traces.figures import figures
from sim.traces.replay import Manner, replay
from sim.traces.shipped import KINDS, PROCESSORS
from sim.traces.swf import record_of
from tests.traces import task

PAGE = (ROOT / "docs/traces.md").read_text()


def test_it_tells_every_figure() -> None:
    tasks = [task(0, 9, chunks=9, group=group) for group in "ab"]
    edges = edges_of("1x4:8")
    found = figures(tasks, edges, replay(tasks, edges, Manner()))
    assert "jain" in found
    assert not [name for name in found.keys() - {"jobs", "chunks"} if f"`{name}`" not in PAGE]


def test_it_tells_why_lines_are_left_out() -> None:
    assert not [why for why in (workload.UNKNOWN, workload.PART, workload.TOO_WIDE) if f"`{why}`" not in PAGE]


def test_its_flags_are_the_commands() -> None:
    known = {f"--{name}" for name in inspect.signature(trace).parameters} - {"--file"}
    assert set(re.findall(r"--[a-z]+", PAGE)) - {"--only"} == known


def test_what_it_shows_is_so() -> None:
    for fleet in re.findall(r"--edges (\S+)", PAGE):
        assert edges_of(fleet)
    assert f"`{FLEET}`" in PAGE
    assert f"{PROCESSORS} cores on {len(edges_of(FLEET))} edges" in PAGE
    assert f"{BAR_PERCENT:g} % of the bound" in PAGE
    assert set(re.findall(r"^\| `(\w+)`, `bestFit`", PAGE, re.MULTILINE)) == set(KINDS)
    with pytest.raises(Invalid) as refused:
        record_of(7, "1 0 -1 soon" + 14 * " -1")
    assert f"`{refused.value.message}`" in " ".join(PAGE.split())
