"""A step's limits as files of cgroup v2, and where an agent may make groups: the parts that need no such host."""

import os
from pathlib import Path

import pytest

from agents.runtimes.process.cgroup import PIDS_LIMIT, group_name, limits, oom_kills
from agents.runtimes.process.delegation import Place, _prepared, missing_controllers, place_of

EVENTS = "low 0\nhigh 0\nmax 113\noom 1\noom_kill 2\noom_group_kill 1\n"
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    "34 24 0:29 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory\n"
    "35 24 0:30 / /sys/fs/cgroup/unified rw shared:12 - cgroup2 cgroup2 rw\n"
)


def test_no_limit_is_asked_for_by_zero_but_that_of_processes() -> None:
    assert limits(0.0, 0) == {"pids.max": str(PIDS_LIMIT)}


@pytest.mark.parametrize(
    ("cpu", "quota"), [(0.25, "25000 100000"), (1.0, "100000 100000"), (12.5, "1250000 100000"), (1e-6, "1000 100000")]
)
def test_cores_are_a_quota_of_each_tenth_of_a_second(cpu: float, quota: str) -> None:
    assert limits(cpu, 0)["cpu.max"] == quota


def test_memory_has_no_way_out_through_swap_and_ends_the_whole_step() -> None:
    files = limits(0.0, 67108864)
    assert (files["memory.max"], files["memory.swap.max"], files["memory.oom.group"]) == ("67108864", "0", "1")


@pytest.mark.parametrize(("events", "kills"), [(EVENTS, 2), (EVENTS.replace("oom_kill 2", "oom_kill 0"), 0), ("", 0)])
def test_kills_for_lack_of_memory_are_read_from_the_events(events: str, kills: int) -> None:
    assert oom_kills(events) == kills


def test_no_attempts_group_is_that_of_another() -> None:
    assert group_name("a-1", 0) != group_name("a", 10)


@pytest.mark.parametrize(
    ("cgroup", "mounts", "group"),
    [
        ("0::/\n", V2, "/sys/fs/cgroup"),
        ("0::/system.slice/tendril.service\n", V2, "/sys/fs/cgroup/system.slice/tendril.service"),
        ("4:memory:/a\n0::/b\n", HYBRID, "/sys/fs/cgroup/unified/b"),
        ("0::/docker/x/y\n", V2.replace(" / /sys", " /docker/x /sys"), "/sys/fs/cgroup/y"),
    ],
)
def test_a_processs_group_is_where_the_unified_hierarchy_is_mounted(cgroup: str, mounts: str, group: str) -> None:
    place = place_of(cgroup, mounts)
    assert place is not None
    assert place.group == Path(group)


@pytest.mark.parametrize(
    ("cgroup", "mounts"),
    [
        ("4:memory:/a\n", HYBRID),
        ("0::/a\n", ""),
        ("0::/../above\n", V2),
        ("0::/elsewhere\n", V2.replace(" / /sys", " /docker/x /sys")),
    ],
)
def test_what_is_not_mounted_or_not_below_what_is_mounted_is_no_place(cgroup: str, mounts: str) -> None:
    assert place_of(cgroup, mounts) is None


@pytest.mark.parametrize(
    ("controllers", "missing"),
    [("cpuset cpu io memory pids\n", ""), ("rdma\n", "cpu, memory, pids"), ("cpu pids", "memory")],
)
def test_what_limits_need_is_said(controllers: str, missing: str) -> None:
    assert missing_controllers(controllers) == missing


def a_group(path: Path, processes: str = "") -> Path:
    path.mkdir(parents=True)
    (path / "cgroup.procs").write_text(processes)
    (path / "cgroup.subtree_control").write_text("")
    return path


def test_an_agent_that_was_put_into_a_group_below_its_own_divides_its_own(tmp_path: Path) -> None:
    unit = a_group(tmp_path / "unit")
    agent = a_group(unit / "agent", f"{os.getpid()}\n")
    assert _prepared(Place(tmp_path, agent)) == unit
    assert (unit / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_who_shares_a_group_with_others_asks_for_one_at_the_top(tmp_path: Path) -> None:
    top = a_group(tmp_path / "top")
    shared = a_group(top / "session", f"1\n{os.getpid()}\n")
    a_group(top / "tendril")
    assert _prepared(Place(top, shared)) == top / "tendril"
    assert (shared / "cgroup.procs").read_text() == f"1\n{os.getpid()}\n"
    assert not (shared / "cgroup.subtree_control").read_text()
