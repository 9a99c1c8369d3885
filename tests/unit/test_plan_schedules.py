"""Moments of schedules: each is dealt with once, whenever anybody looks, and what becomes of it follows from the spec."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from datamodel.errors import Invalid
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.schedules import Schedule, moments, zone
from reconcilers.planning.schedules import Look, following, is_named_by, job_name, look, newest_of, status_of
from tests.graph import STEPS

GROUP = "/config/job-groups/g"
CREATED = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
BERLIN = zone("Europe/Berlin")


def a_schedule(name: str = "s", **spec: Any) -> Node:
    body = normal_spec(Schedule, {"cron": "* * * * *", "job": {"steps": STEPS}, **spec})
    return _node(f"{GROUP}/schedules/{name}", "Schedule", 1, body, {})


def made(schedule: Node, moment: datetime, version: int, phase: str = "running", **fields: Any) -> Node:
    status = {"phase": phase, "observedGeneration": 1}
    path = f"{GROUP}/jobs/{job_name(schedule, moment)}"
    return replace(_node(path, "Job", version, normal_spec(Job, {"steps": STEPS}), status), **fields)


def _node(path: str, kind: str, created: int, spec: dict[str, Any], status: dict[str, Any]) -> Node:
    return Node(
        path=path,
        uid=f"{created:032x}",
        kind=kind,
        labels={},
        spec=spec,
        status=status,
        links={},
        finalizers=(),
        generation=1,
        version=created,
        created_version=created,
        created_at=CREATED,
    )


def told(schedule: Node, found: Look, now: datetime, **refused: str) -> Node:
    return replace(schedule, status={**schedule.status, **status_of(schedule, found, now, **refused)})


def minutes(count: float) -> datetime:
    """So long after the last full minute before the schedule was created."""
    return CREATED.replace(second=0) + timedelta(minutes=count)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12))
def test_the_newest_moment_that_was_missed_is_dealt_with_and_each_once(waits: list[int]) -> None:
    schedule, now, found = a_schedule(), CREATED, []
    for wait_s in waits:
        before, now = now, now + timedelta(seconds=wait_s)
        seen = look(schedule, (), now)
        schedule = told(schedule, seen, now)
        come = [minutes(n) for n in range(1, 100) if before < minutes(n) <= now]
        assert ([seen.due] if seen.became else []) == come[-1:]
        assert look(schedule, (), now).became is None, "twice"
        assert seen.next_time is not None
        assert now < seen.next_time <= now + timedelta(minutes=1)
        found += come[-1:]
    assert schedule.status["counts"].get("made", 0) == len(found)
    assert schedule.status.get("lastTime") == (found[-1].isoformat() if found else None)


_ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Africa/Casablanca", "Asia/Kolkata", "UTC"])
_CRONS = st.sampled_from(["30 2 * * *", "*/20 * * * *", "15 */2 * * *", "0 1-3 * * *", "0,30 2 * * *", "45 1 * * 0"])
_CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
]


@given(_ZONES, _CRONS, st.sampled_from(_CHANGES), st.integers(-4 * 3600, 4 * 3600))
def test_what_came_last_and_comes_next_is_as_the_expression_goes_on(
    name: str, cron: str, change: datetime, beside_s: int
) -> None:
    """Also around the hours that clocks leave out or show twice."""
    where, now = zone(name), change + timedelta(seconds=beside_s)
    everything = moments(cron, (now - timedelta(days=8)).astimezone(where))
    in_utc = (moment.astimezone(UTC) for moment in everything)
    around = list(itertools.takewhile(lambda moment: moment < now + timedelta(days=8), in_utc))
    assert newest_of(cron, where, now) == max(moment for moment in around if moment <= now)
    assert following(cron, where, now) == min(moment for moment in around if moment > now)


def days_of(cron: str, first: datetime, count: int) -> list[str]:
    """So many moments, in UTC."""
    return [one.astimezone(UTC).strftime("%d %H:%M") for one in itertools.islice(moments(cron, first), count)]


def test_clocks_that_are_put_forth_and_back_are_followed_as_documented() -> None:
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    assert days_of("30 2 * * *", spring, 2) == ["29 01:00", "30 00:30"], "at once after the hour that is left out"
    assert days_of("30 2 * * *", autumn, 2) == ["25 00:30", "26 01:30"], "once in the hour that is there twice"
    hour = ["25 00:00", "25 00:30", "25 01:00", "25 01:30", "25 02:00"]
    assert days_of("*/30 * * * *", autumn + timedelta(hours=13, minutes=45), 5) == hour


def test_a_moment_that_is_too_late_passes() -> None:
    schedule = a_schedule(cron="0 * * * *", startingDeadlineS=60)
    on_time, late = minutes(61), minutes(61) + timedelta(microseconds=1)
    assert (look(schedule, (), on_time).became, look(schedule, (), late).became) == ("made", "missed")
    schedule = told(schedule, look(schedule, (), late), late)
    assert schedule.status["counts"] == {"missed": 1}
    assert "lastTime" not in schedule.status
    assert schedule.status["conditions"][0]["reason"] == "Missed"
    assert look(schedule, (), minutes(119)).became is None


@pytest.mark.parametrize(
    ("concurrency", "became", "replaced"), [("allow", "made", 0), ("forbid", "skipped", 0), ("replace", "made", 1)]
)
def test_what_becomes_of_a_moment_while_another_s_job_runs(concurrency: str, became: str, replaced: int) -> None:
    schedule = a_schedule(concurrency=concurrency)
    running, ended = made(schedule, minutes(1), 2), made(schedule, minutes(0), 3, "succeeded")
    aborting = made(schedule, minutes(-1), 4, spec={**running.spec, "intent": "abort"})
    going = made(schedule, minutes(-2), 5, deletion_requested_at=CREATED)
    found = look(schedule, (running, ended, aborting, going), minutes(2))
    assert found.became == became
    assert found.replaced == (running,) * replaced, "who is to end already is not told again"
    assert {job.path for job in found.active} == {running.path, aborting.path, going.path}
    assert look(schedule, (ended,), minutes(2)).became == "made"
    status = status_of(schedule, found, minutes(2))
    assert status["active"] == len(found.active) + (became == "made")
    reason = {"made": "Made", "skipped": "StillRunning"}[became]
    assert status["conditions"][0]["reason"] == reason


def test_one_that_failed_and_is_tried_again_runs_still() -> None:
    schedule = a_schedule(concurrency="forbid", keepFinished={"failed": 0})
    again = made(schedule, minutes(1), 2, "failed", generation=2)
    found = look(schedule, (again,), minutes(2))
    assert (found.became, found.superfluous) == ("skipped", ())


def test_only_so_many_that_have_ended_are_kept() -> None:
    schedule = a_schedule(keepFinished={"successful": 2, "failed": 1})
    phases = ["succeeded", "failed", "succeeded", "aborted", "running", "succeeded", "failed"]
    jobs = [made(schedule, minutes(n), n + 2, phase) for n, phase in enumerate(phases)]
    going = made(schedule, minutes(9), 1, "failed", deletion_requested_at=CREATED)
    found = look(schedule, (*jobs, going), CREATED)
    assert sorted(phases.index(job.phase) and job.created_version - 2 for job in found.superfluous) == [0, 1, 3]


def test_those_of_which_somebody_is_to_be_told_are_kept() -> None:
    schedule = a_schedule(keepFinished={"successful": 0, "failed": 0})

    def telling(number: int, state: str) -> Node:
        job = made(schedule, minutes(number), number + 2, "succeeded")
        return replace(job, status={**job.status, "callbacks": [{"told": [{"callback": 0, "state": state}]}]})

    waiting, delivered = telling(1, "waiting"), telling(2, "delivered")
    assert look(schedule, (waiting, delivered), minutes(1)).superfluous == (delivered,)


def test_what_is_suspended_makes_nothing_and_nothing_up_for_it() -> None:
    schedule = a_schedule(suspended=True)
    found = look(schedule, (), minutes(1))
    schedule = told(schedule, found, minutes(1))
    assert (found.became, schedule.status["nextTime"]) == (None, None)
    assert schedule.status["conditions"][0]["reason"] == "Suspended"
    resumed = replace(schedule, spec={**schedule.spec, "suspended": False}, generation=2)
    found = look(resumed, (), minutes(9.5))
    assert found.became is None
    resumed = told(resumed, found, minutes(9.5))
    assert resumed.status["conditions"][0]["reason"] == "NoMomentYet"
    assert look(resumed, (), minutes(10)).due == minutes(10)


def test_another_expression_or_zone_makes_nothing_up() -> None:
    schedule = a_schedule(cron="0 0 1 1 *")
    schedule = told(schedule, look(schedule, (), minutes(1)), minutes(1))
    for change in ({"cron": "* * * * *"}, {"cron": "0 0 1 3 *", "timeZone": "Asia/Kolkata"}):
        changed = replace(schedule, spec={**schedule.spec, **change}, generation=2)
        assert look(changed, (), minutes(3)).became is None
    same = replace(schedule, spec={**schedule.spec, "concurrency": "forbid"}, generation=2)
    assert look(same, (), minutes(3)).through == look(schedule, (), minutes(3)).through


def test_no_moment_comes_twice_where_clocks_go_back() -> None:
    schedule = a_schedule()
    schedule = told(schedule, look(schedule, (), minutes(5)), minutes(5))
    changed = replace(schedule, spec={**schedule.spec, "cron": "*/1 * * * *"}, generation=2)
    for before in (schedule, changed):
        found = look(before, (), minutes(3))
        assert (found.became, found.through) == (None, minutes(5))
    changed = told(changed, look(changed, (), minutes(3)), minutes(3))
    assert look(changed, (), minutes(5)).became is None
    assert look(changed, (), minutes(6)).became == "made"


def test_what_could_not_be_made_is_over_too() -> None:
    schedule = a_schedule()
    refused = told(schedule, look(schedule, (), minutes(1)), minutes(1), refused="it exists")
    assert refused.status["counts"] == {"refused": 1}
    assert refused.status["active"] == 0
    assert refused.status["conditions"][0]["message"] == "it exists"
    assert look(refused, (), minutes(1.5)).became is None


@given(st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z"), st.integers(0, 500_000_000))
def test_names_are_names_and_tell_minutes_apart(name: str, minute: int) -> None:
    schedule, moment = a_schedule(name), datetime.fromtimestamp(60 * minute, UTC)
    found = made(schedule, moment, 2)
    assert len(job_name(schedule, moment)) <= 63
    assert is_named_by(schedule, found)
    assert job_name(schedule, moment + timedelta(minutes=1)) != job_name(schedule, moment)
    assert not is_named_by(a_schedule("other"), found) or name == "other"
    assert job_name(schedule, moment.astimezone(BERLIN)) == job_name(schedule, moment)


def test_long_names_that_begin_alike_stay_apart() -> None:
    one, other = (job_name(a_schedule(name), CREATED) for name in ("a" * 62 + "b", "a" * 62 + "c"))
    assert one != other


@pytest.mark.parametrize(
    ("spec", "pointer", "message"),
    [
        ({"cron": "* * * *"}, "/spec/cron", "five fields"),
        ({"cron": "* * * * * *"}, "/spec/cron", "five fields"),
        ({"cron": "@daily"}, "/spec/cron", "five fields"),
        ({"cron": "61 * * * *"}, "/spec/cron", "Bad minute"),
        ({"cron": "0 0 30 2 *"}, "/spec/cron", "Bad day-of-month"),
        ({"cron": ""}, "/spec/cron", "at least 1"),
        ({"timeZone": "Mars/Olympus"}, "/spec/timeZone", "no time zone"),
        ({"timeZone": "Europe"}, "/spec/timeZone", "no time zone"),
        ({"timeZone": "../etc/passwd"}, "/spec/timeZone", "match"),
        ({"job": {}}, "/spec/job/steps", "required"),
        ({"job": {"steps": STEPS, "chunks": 0}}, "/spec/job/chunks", "greater than or equal to 1"),
        ({"job": {"steps": STEPS, "labels": {"a b": "c"}}}, "/spec/job/labels", "label"),
        ({"job": {"steps": STEPS, "name": "x"}}, "/spec/job/name", "not permitted"),
        ({"startingDeadlineS": 0}, "/spec/startingDeadlineS", "greater than 0"),
        ({"keepFinished": {"failed": 101}}, "/spec/keepFinished/failed", "100"),
        ({"concurrency": "queue"}, "/spec/concurrency", "allow"),
    ],
)
def test_what_is_wrong_is_named(spec: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refused:
        a_schedule(**spec)
    assert refused.value.field == pointer
