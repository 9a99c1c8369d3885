"""Why a job is as it is, over REST; on the fake and the real store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datamodel.command import Command
from datamodel.scheduling.edges import desired_path, inventory_path
from tests.gateway import Gateway
from tests.graph import EDGE, JOBS, SYSTEM, done, new_edge, new_job, place, report

JOB = f"{JOBS}/j"


async def explained(gateway: Gateway) -> Any:
    answer = await gateway.client.get("/v1/jobs/default/j/explain")
    assert answer.status_code == 200
    return answer.json()


async def status(gateway: Gateway, path: str, **status: Any) -> None:
    await done(gateway.store, Command("patchStatus", path, status), actor=SYSTEM)


async def edges(gateway: Gateway, *names: str, phase: str = "online", **capacity: Any) -> None:
    for name in names:
        await new_edge(gateway.store, name, **capacity)
        await status(gateway, inventory_path("s", name), phase=phase)


async def test_a_chunk_that_waits_is_told_what_each_edge_says(gateway: Gateway) -> None:
    await new_job(gateway.store, "j", chunks=3, requests={"cpu": 0.5, "memoryBytes": 1, "powerW": 1.0})
    assert (await explained(gateway))["summary"] == "3 of its 3 chunks wait: there is no edge"
    await edges(gateway, "cordoned", "sick", "away")
    await edges(gateway, "small", "tiny", cpu=0.25)
    await done(gateway.store, Command("patchSpec", desired_path("s", "cordoned"), {"cordoned": True}), actor=SYSTEM)
    await done(gateway.store, Command("patchSpec", inventory_path("s", "sick"), {"trouble": "no engine"}), actor=EDGE)
    await status(gateway, inventory_path("s", "away"), phase="suspect")
    told = await explained(gateway)
    assert {(some["reason"], some["edges"], some["example"]) for some in told["edges"]} == {
        ("TooSmall", 2, "s/small"),
        ("Cordoned", 1, "s/cordoned"),
        ("InTrouble", 1, "s/sick"),
        ("NotOnline", 1, "s/away"),
    }
    sick = next(some for some in told["edges"] if some["reason"] == "InTrouble")
    assert sick["message"] == "can start nothing: no engine"
    assert told["summary"] == (
        "3 of its 3 chunks wait: of 5 edges, 2 have too little cpu, 1 is cordoned, 1 is in trouble, 1 is not online"
        " (s/small has 0.25 cores, and a chunk asks for 0.5 cores)"
    )
    assert (told["path"], told["phase"], told["intent"], told["chunks"]) == (JOB, "pending", "run", {"pending": 3})
    await edges(gateway, "roomy")
    assert (await explained(gateway))["summary"] == "3 of its 3 chunks wait: s/roomy has room, and they are placed next"


async def test_a_full_edge_says_what_is_left(gateway: Gateway) -> None:
    await edges(gateway, "e", cpu=1.0)
    job = await new_job(gateway.store, "j", chunks=3, requests={"cpu": 0.4, "memoryBytes": 1, "powerW": 1.0})
    for index in range(2):
        path = await place(gateway.store, job, index, requests=job.spec["requests"])
    await report(gateway.store, path, phase="running")
    told = await explained(gateway)
    assert told["edges"] == [
        {
            "reason": "Full",
            "message": "has 0.2 cores left, and a chunk asks for 0.4 cores",
            "edges": 1,
            "example": "s/e",
            "resource": "cpu",
        }
    ]
    assert told["summary"].endswith("; 1 of its chunks run, 1 placed and not begun")
    assert told["chunks"] == {"pending": 1, "placed": 1, "running": 1}


async def test_what_runs_where_nothing_is_heard_of_is_told(gateway: Gateway) -> None:
    await edges(gateway, "e", "f")
    job = await new_job(gateway.store, "j", chunks=2)
    for index, edge in enumerate("ef"):
        await report(gateway.store, await place(gateway.store, job, index, edge=edge), phase="running")
    assert (await explained(gateway))["unheard"] == []
    await status(gateway, inventory_path("s", "f"), phase="disconnected", since="2030-01-01T00:00:00+00:00")
    told = await explained(gateway)
    away = {"site": "s", "edge": "f", "phase": "disconnected", "since": "2030-01-01T00:00:00+00:00", "chunks": 1}
    assert told["unheard"] == [away]
    assert told["summary"] == ("2 of its chunks run; 1 where nothing is heard of, as s/f: it is disconnected")
    assert told["edges"] == [], "nothing waits for one"


async def test_what_has_failed_is_told_first_what_is_not_tried_again(gateway: Gateway) -> None:
    await edges(gateway, "e")
    job = await new_job(gateway.store, "j", chunks=2, retries=1)
    ends: dict[str, Any] = {"phase": "failed", "reason": "NonZeroExit", "message": "step 0", "exitCodes": [3]}
    for index, epoch in ((0, 1), (1, 1), (1, 2)):
        await report(gateway.store, await place(gateway.store, job, index, epoch), **ends)
    told = await explained(gateway)
    assert [(chunk["index"], chunk["failures"], chunk["goesOn"]) for chunk in told["failures"]] == [
        (1, 2, False),
        (0, 1, True),
    ]
    first = told["failures"][0]
    assert (first["site"], first["edge"], first["reason"], first["exitCodes"]) == ("s", "e", "NonZeroExit", [3])
    await status(gateway, JOB, phase="failed")
    assert (await explained(gateway))["summary"] == (
        "it has failed: chunk 1 has failed twice, and a chunk is tried again once at most: NonZeroExit: step 0"
    )


async def test_a_job_that_is_to_be_split_says_so_and_of_an_array_what_failed_by_its_index(gateway: Gateway) -> None:
    await new_job(gateway.store, "j", maxChunks=8, workWs=80.0)
    assert (await explained(gateway))["summary"] == "it waits to be split into 8 chunks at most: there is no edge"
    await status(gateway, JOB, split={"chunks": 3})
    assert (await explained(gateway))["summary"] == "3 of its 3 chunks wait: there is no edge"
    await done(gateway.store, Command("delete", JOB), Command("finalize", JOB, {"finalizer": "attempts"}), actor=SYSTEM)
    await new_edge(gateway.store)
    array = await new_job(gateway.store, "j", array="7,10-30:10", retries=0)
    await report(gateway.store, await place(gateway.store, array), phase="succeeded")
    await report(gateway.store, await place(gateway.store, array, 1), phase="failed", reason="NonZeroExit")
    assert [(one["index"], one["arrayIndex"]) for one in (await explained(gateway))["failures"]] == [(1, 10)]


@pytest.mark.parametrize(
    ("intent", "phase", "summary"),
    [
        ("suspend", "pending", "it is suspended, and 0 of its chunks run"),
        ("abort", "pending", "it is being aborted, and 0 of its chunks run"),
        ("abort", "aborted", "it was aborted, with 0 of its 2 chunks succeeded"),
        ("run", "succeeded", "all of its 2 chunks have succeeded"),
    ],
)
async def test_what_is_not_to_run_waits_for_no_edge(gateway: Gateway, intent: str, phase: str, summary: str) -> None:
    await new_job(gateway.store, "j", chunks=2, intent=intent)
    await status(gateway, JOB, phase=phase)
    told = await explained(gateway)
    assert (told["summary"], told["edges"], told["intent"]) == (summary, [], intent)


async def test_a_job_that_waits_for_others_says_for_whom(gateway: Gateway) -> None:
    await new_job(gateway.store, "j", inputs=[{"job": "default/other", "artifact": "a", "path": "in"}])
    assert (await explained(gateway))["summary"] == "it waits for its inputs: nobody has looked yet"
    condition = {
        "type": "Complete",
        "status": "False",
        "reason": "WaitingForInputs",
        "message": "waits for default/other",
        "lastTransitionTime": "2030-01-01T00:00:00+00:00",
    }
    await status(gateway, JOB, conditions=[condition])
    assert (await explained(gateway))["summary"] == "it waits for its inputs: WaitingForInputs: waits for default/other"


async def test_a_job_that_begins_later_says_what_it_waits_for_and_asks_no_edge(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    await new_job(gateway.store, "j", after=[{"job": "other"}], startAt="2030-01-01T00:00:00Z")
    assert (await explained(gateway))["summary"] == "it waits for its beginning: nobody has looked yet"
    since = {"status": "False", "lastTransitionTime": "2030-01-01T00:00:00+00:00"}
    told = {"type": "Ready", "reason": "WaitingForTime", "message": "begins at 2030-01-01T00:00:00Z", **since}
    general = {"type": "Complete", "reason": "WaitingForStart", "message": "it is not time yet", **since}
    await status(gateway, JOB, conditions=[general, told])
    found = await explained(gateway)
    expected = "it waits for its beginning: WaitingForTime: begins at 2030-01-01T00:00:00Z"
    assert (found["summary"], found["edges"]) == (expected, [])
    await status(gateway, JOB, readyAt="2030-01-01T00:00:00Z")
    assert "of 1 edges" in (await explained(gateway))["summary"]


async def test_a_job_that_goes_says_so_and_one_that_is_not_there_is_not_found(gateway: Gateway) -> None:
    assert (await gateway.client.get("/v1/jobs/default/j/explain")).status_code == 404
    await new_job(gateway.store, "j")
    await gateway.client.delete("/v1/jobs/default/j")
    assert (await explained(gateway))["summary"] == "it is being deleted, and 0 of its chunks run"


async def test_who_could_not_be_told_is_said(gateway: Gateway) -> None:
    await new_job(gateway.store, "j", callbacks=[{"url": "https://one.test/"}, {"url": "https://two.test:8443/a"}])
    at, trouble = "2030-01-01T00:00:00+00:00", {"reason": "Refused", "message": "it answered 500"}

    def notices(**second: str) -> list[dict[str, Any]]:
        told = [{"callback": 0, "state": "delivered", "at": at}, {"callback": 1, **second}]
        return [{"id": "evt_1", "phase": "aborted", "at": at, "told": told}]

    ended, untold = (
        "it was aborted, with 0 of its 1 chunks succeeded",
        "telling two.test:8443 that it came to be aborted",
    )
    await status(gateway, JOB, phase="aborted", finishedAt=at, callbacks=notices(state="waiting"))
    assert (await explained(gateway))["summary"] == ended
    await status(gateway, JOB, callbacks=notices(state="waiting", **trouble))
    assert (await explained(gateway))["summary"] == f"{ended}; {untold} is tried again: Refused, it answered 500"
    await status(gateway, JOB, callbacks=notices(state="givenUp", at=at, **trouble))
    assert (await explained(gateway))["summary"] == f"{ended}; {untold} is given up: Refused, it answered 500"


ENDING = {"phase": "failed", "reason": "DeadlineExceeded", "message": "it had not ended after 5 s"}


def complete(reason: str, message: str) -> dict[str, Any]:
    told = {"type": "Complete", "status": "True", "reason": reason, "message": message}
    return {**told, "lastTransitionTime": "2030-01-01T00:00:00+00:00"}


async def test_a_job_whose_end_is_decided_says_by_what(gateway: Gateway) -> None:
    await new_job(gateway.store, "j", chunks=2)
    await status(gateway, JOB, ending=ENDING, conditions=[complete(ENDING["reason"], ENDING["message"])])
    told = "DeadlineExceeded: it had not ended after 5 s"
    explanation = await explained(gateway)
    assert explanation["summary"] == f"it ends as failed, and 0 of its chunks run: {told}"
    assert explanation["edges"] == []
    await status(gateway, JOB, phase="failed")
    assert (await explained(gateway))["summary"] == f"it has failed: {told}"


async def test_a_job_that_has_succeeded_without_all_of_its_chunks_says_so(gateway: Gateway) -> None:
    await edges(gateway, "e")
    job = await new_job(gateway.store, "j", chunks=2, retries=0, completion={"maxFailedChunks": 1})
    await report(gateway.store, await place(gateway.store, job, 0), phase="failed")
    await report(gateway.store, await place(gateway.store, job, 1), phase="succeeded")
    await status(
        gateway, JOB, phase="succeeded", conditions=[complete("Succeeded", "1 of 2 chunks failed, as allowed")]
    )
    assert (await explained(gateway))["summary"] == (
        "1 of its 2 chunks have succeeded: Succeeded: 1 of 2 chunks failed, as allowed"
    )


async def test_a_chunk_that_rests_is_told_until_when(gateway: Gateway) -> None:
    await edges(gateway, "e")
    job = await new_job(gateway.store, "j", retryPolicy={"backoffS": 600})
    ended = datetime.now(UTC)
    path = await place(gateway.store, job)
    await report(gateway.store, path, phase="failed", finishedAt=ended.isoformat())
    told = await explained(gateway)
    (chunk,) = told["failures"]
    assert 400 < (datetime.fromisoformat(chunk["againAt"]) - ended).total_seconds() < 610
    assert told["summary"] == (
        f"1 of its 1 chunks wait: they failed, and are tried again after a pause, the first at {chunk['againAt']}"
    )


async def test_a_chunk_that_an_exit_code_has_ended_does_not_go_on(gateway: Gateway) -> None:
    await edges(gateway, "e")
    policy = {"exitCodes": [{"codes": [3], "action": "fail"}]}
    job = await new_job(gateway.store, "j", retries=4, retryPolicy=policy)
    path = await place(gateway.store, job)
    await report(gateway.store, path, phase="failed", reason="NonZeroExit", message="exit code 3", exitCodes=[3])
    await status(gateway, JOB, phase="failed")
    told = await explained(gateway)
    assert [chunk["goesOn"] for chunk in told["failures"]] == [False]
    assert told["summary"] == (
        "it has failed: chunk 0 has failed once, and is not tried again after such an exit code: NonZeroExit: exit code 3"
    )
    answer = await gateway.client.post("/v1/jobs/default/j/retry")
    assert (answer.status_code, answer.json()["spec"]["retries"]) == (202, 5)
    assert [chunk["goesOn"] for chunk in (await explained(gateway))["failures"]] == [True]


async def test_who_retries_asks_for_more_than_the_last_attempt_was_told(gateway: Gateway) -> None:
    """The retries may have been lowered since."""
    await edges(gateway, "e")
    policy = {"exitCodes": [{"codes": [3], "action": "fail"}]}
    job = await new_job(gateway.store, "j", retries=4, retryPolicy=policy)
    path = await place(gateway.store, job)
    await report(gateway.store, path, phase="failed", reason="NonZeroExit", exitCodes=[3])
    await done(gateway.store, Command("patchSpec", JOB, {"retries": 1}))
    await status(gateway, JOB, phase="failed")
    answer = await gateway.client.post("/v1/jobs/default/j/retry")
    assert answer.json()["spec"]["retries"] == 5


async def test_a_job_that_has_spent_its_budget_says_so_and_its_chunks_do_not_go_on(gateway: Gateway) -> None:
    await edges(gateway, "e")
    job = await new_job(gateway.store, "j", retries=4, retryPolicy={"budget": 0, "backoffS": 600})
    await report(gateway.store, await place(gateway.store, job), phase="failed", reason="NonZeroExit", exitCodes=[3])
    spent = "its chunks failed more often than the 0 times that are tried again"
    await status(gateway, JOB, phase="failed", conditions=[complete("RetryBudgetSpent", spent)])
    told = await explained(gateway)
    assert told["summary"] == f"it has failed: RetryBudgetSpent: {spent}"
    assert [(chunk["goesOn"], chunk["againAt"]) for chunk in told["failures"]] == [(False, "")]


async def explained_at(gateway: Gateway, moment: str) -> Any:
    return (await gateway.client.get("/v1/jobs/default/j/explain", params={"asOf": moment})).json()


async def test_what_goes_before_it_and_what_would_have_to_change_is_told(gateway: Gateway) -> None:
    await edges(gateway, "e", cpu=1.0)
    await edges(gateway, "f", cpu=0.75)
    half = {"cpu": 0.5, "memoryBytes": 1, "powerW": 1.0}
    await place(gateway.store, await new_job(gateway.store, "first", chunks=4, requests=half), edge="f")
    await place(gateway.store, await new_job(gateway.store, "second", requests=half), requests=half)
    await new_job(gateway.store, "j", requests={"cpu": 0.75, "memoryBytes": 1, "powerW": 1.0})
    told = await explained(gateway)
    assert told["reason"] == "NoRoom"
    assert told["queue"] == {"groupJobs": 1, "groupChunks": 3, "jobs": 1, "chunks": 3, "atLeast": False}
    assert told["changes"] == [{"what": "MoreRoom", "message": "s/e with 0.25 cores more free", "edge": "s/e"}]
    assert told["start"] == {
        "at": "",
        "basis": "no chunk has succeeded lately, so nothing tells when there is room",
    }
    await done(gateway.store, Command("patchSpec", desired_path("s", "e"), {"cordoned": True}), actor=SYSTEM)
    await done(
        gateway.store,
        Command("patchSpec", "/config/job-groups/default", {"quota": {"cpu": 0.75}, "maxJobsInFlight": 2}),
    )
    told = await explained(gateway)
    assert told["summary"] == (
        "1 of its 1 chunks wait: 2 jobs of the group default have something in flight, and 2 may"
    )
    assert [change["message"] for change in told["changes"]] == [
        "maxJobsInFlight of the group default from 2 to 3",
        "the quota of the group default from 0.75 cores to 1.75 cores",
        "s/f with 0.5 cores more free",
    ]
    await done(gateway.store, Command("patchStatus", "/config/scheduler", {"chunksPerMinute": 30.0}), actor=SYSTEM)
    quota = {"quota": None, "maxJobsInFlight": None}
    await done(gateway.store, Command("patchSpec", "/config/job-groups/default", quota))
    start = (await explained(gateway))["start"]
    assert start["basis"] == "3 chunks go before it, and 30 a minute have succeeded lately"
    assert 0 < (datetime.fromisoformat(start["at"]) - datetime.now(UTC)).total_seconds() < 10


async def test_what_runs_says_why_it_was_placed_there(gateway: Gateway) -> None:
    await edges(gateway, "e")
    job = await new_job(gateway.store, "j", chunks=2)
    decision = {"policy": "bestFit", "order": "fairShare", "edges": 12, "by": "memory", "share": 0.125}
    await report(gateway.store, await place(gateway.store, job, decision=decision), phase="running")
    await place(gateway.store, job, 1)
    told = (await explained(gateway))["placed"]
    assert [(chunk["index"], chunk["site"], chunk["edge"]) for chunk in told] == [(1, "s", "e"), (0, "s", "e")]
    assert [chunk["why"] for chunk in told] == [
        "",
        "bestFit by memory among 12 edges that suited; fairShare: its group's share was 12.50%, and no other's smaller",
    ]


async def test_a_job_is_explained_as_it_was(gateway: Gateway) -> None:
    """With the edges, what was free of them, its group and the Scheduler of then."""
    half = {"cpu": 0.5, "memoryBytes": 1, "powerW": 1.0}
    await edges(gateway, "e", cpu=1.0)
    other = await new_job(gateway.store, "other", chunks=2, requests=half)
    paths = [await place(gateway.store, other, index, requests=half) for index in range(2)]
    await new_job(gateway.store, "j", chunks=2, requests=half)
    moments: list[tuple[int, Any]] = []

    async def note() -> None:
        moments.append((await gateway.position(), await explained(gateway)))

    await note()
    await report(gateway.store, paths[0], phase="succeeded")
    await status(gateway, other.path, chunks={"succeeded": 1, "placed": 1})
    await note()
    job = (await gateway.store.nodes([JOB]))[JOB]
    mine = await place(gateway.store, job, requests=half)
    await note()
    await report(gateway.store, mine, phase="failed", reason="OOMKilled", exitCodes=[137])
    await note()
    await done(gateway.store, Command("patchSpec", "/config/job-groups/default", {"paused": True}))
    await note()
    await done(gateway.store, Command("patchSpec", "/config/scheduler", {"paused": True}))
    await note()
    await done(gateway.store, Command("patchSpec", JOB, {"intent": "suspend"}))
    await status(gateway, inventory_path("s", "e"), phase="lost")
    await done(gateway.store, Command("delete", other.path))
    for position, was in moments:
        told = await explained_at(gateway, str(position))
        if told["start"] is not None:  # its time is the moment's
            assert was["start"]["basis"] == told["start"].pop("basis")
        assert {**was, "start": None} == {**told, "start": None}
    assert [was["reason"] for _, was in moments] == [
        "NoRoom",
        "Queued",
        "NoRoom",
        "Queued",
        "GroupPaused",
        "SchedulerPaused",
    ]


async def test_a_moment_at_which_it_was_not_is_none(gateway: Gateway) -> None:
    await edges(gateway, "e")
    before = await gateway.position()
    await new_job(gateway.store, "j")
    url = "/v1/jobs/default/j/explain"
    answer = await gateway.client.get(url, params={"asOf": str(before)})
    assert (answer.status_code, answer.json()["detail"]) == (404, f"{JOB} does not exist then")
    for wrong in ("yesterday", str(await gateway.position() + 1)):
        answer = await gateway.client.get(url, params={"asOf": wrong})
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == ["?asOf"]
    now = datetime.now(UTC).isoformat()
    assert (await explained_at(gateway, now))["reason"] == "Queued"


async def test_edges_in_maintenance_and_those_that_expect_less_power_are_told_apart(gateway: Gateway) -> None:
    await new_job(gateway.store, "j", requests={"cpu": 0.5, "memoryBytes": 1, "powerW": 5.0})
    await edges(gateway, "a", "b")
    until = "2030-01-31T14:00:00+00:00"
    for name in ("a", "b"):
        await status(gateway, inventory_path("s", name), maintenance={"until": until})
    told = await explained(gateway)
    assert told["summary"] == (
        f"1 of its 1 chunks wait: of 2 edges, 2 are in maintenance (s/a is in maintenance until {until})"
    )
    await status(gateway, inventory_path("s", "a"), maintenance=None)
    await done(gateway.store, Command("patchSpec", "/config/scheduler", {"forecastHorizonS": 600}))
    soon = (datetime.now(UTC) + timedelta(seconds=300)).isoformat()
    forecast = {"forecast": [{"at": soon, "powerW": 2.0}]}
    await done(gateway.store, Command("patchSpec", inventory_path("s", "a"), forecast), actor=EDGE)
    told = await explained(gateway)
    assert [(some["reason"], some["message"]) for some in told["edges"]] == [
        ("InMaintenance", f"is in maintenance until {until}"),
        ("ShortSoon", "expects to have 2 watts left, and a chunk asks for 5 watts"),
    ]
    await done(gateway.store, Command("patchSpec", "/config/scheduler", {"forecastHorizonS": 60}))
    assert (await explained(gateway))["edges"][0]["reason"] == "HasRoom"


async def test_a_chunk_that_was_shed_says_so_while_it_waits(gateway: Gateway) -> None:
    job = await new_job(gateway.store, "j")
    await edges(gateway, "e")
    path = await place(gateway.store, job)
    await done(gateway.store, Command("patchSpec", path, {"intent": "abandon", "intentReason": "Shed"}), actor=SYSTEM)
    await status(gateway, inventory_path("s", "e"), phase="suspect")
    told = await explained(gateway)
    assert told["summary"] == (
        "1 of its 1 chunks wait: of 1 edges, 1 is not online (s/e is suspect, and not online);"
        " chunk 0 was taken from s/e: it had less than was reserved of it, and others matter more"
    )
    (chunk,) = told["failures"]
    assert (chunk["index"], chunk["failures"], chunk["goesOn"], chunk["reason"]) == (0, 0, True, "Shed")
    await report(gateway.store, path, phase="stopped")
    assert (await explained(gateway))["failures"] == [chunk]
    await new_edge(gateway.store, "f")
    await place(gateway.store, job, 0, 2, "f")
    assert (await explained(gateway))["failures"] == []
