"""The command line against a gateway: what it prints, and its exit codes."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
import yaml

from datamodel.command import Command
from datamodel.scheduling.logs import Frame, Position, Record, Taken, encode, key_of
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.transcripts.memory import MemoryTranscripts
from gateway.rest.kinds import described
from tests import garden
from tests.commands import Done, lines, running, tendril
from tests.gateway import STEP, Gateway, open_gateway, serving
from tests.graph import JOBS, SYSTEM, attempt_path, done, job, memory_store, new_edge, new_job, place, present, report


@dataclass
class Served:
    """A gateway on a port, and the command line that asks it."""

    gateway: Gateway
    url: str
    transcripts: MemoryTranscripts

    async def tendril(self, *arguments: str, stdin: str = "") -> Done:
        return await tendril(self.url, *arguments, stdin=stdin)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    store, transcripts = memory_store(), MemoryTranscripts()
    await seed(store)
    async with open_gateway(store, transcripts=transcripts) as gateway, serving(gateway) as (_, client):
        yield Served(gateway, str(client.base_url), transcripts)


@asynccontextmanager
async def answering(answer: Callable[[str, str], str | None]) -> AsyncIterator[str]:
    """The address of something that speaks HTTP and answers each method and path with this JSON, or with nothing, ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := (await reader.readline()).decode().split():
            while (await reader.readline()).strip():
                pass
            body = answer(words[0], words[1])
            if body is None:
                await reader.read()  # until who asks has gone
                break
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(f"{head}{body}".encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def silent() -> AbstractAsyncContextManager[str]:
    """An API that tells its kinds, and answers nothing else."""
    told = json.dumps({"items": [described(MODEL, kind) for kind in MODEL.kinds.values()]})
    return answering(lambda _, path: told if path == "/v1/kinds" else None)


async def phase(served: Served, name: str, phase: str, **status: float) -> None:
    """What the reconcilers make of a job, as its spec now is."""
    path = f"{JOBS}/{name}"
    generation = (await served.gateway.store.nodes([path]))[path].generation
    command = Command("patchStatus", path, {"phase": phase, "observedGeneration": generation, **status})
    await done(served.gateway.store, command, actor=SYSTEM)


async def test_nodes_are_listed_and_shown(served: Served) -> None:
    night = Command("create", "/config/job-groups/night")
    red = Command("create", "/config/job-groups/night/jobs/b", {"steps": [STEP]}, {"team": "red"})
    await done(served.gateway.store, night, job("a"), red)
    await new_edge(served.gateway.store)
    assert (await served.tendril("get", "jobs", "-o", "name")).out == "job/default/a\njob/night/b\n"
    assert (await served.tendril("get", "jobs", "-g", "night", "-o", "name")).out == "job/night/b\n"
    assert (await served.tendril("get", "jobs", "-l", "team=red", "-o", "name")).out == "job/night/b\n"
    told = await served.tendril("get", "jobs", "--sort", "-path", "--limit", "1", "-o", "name")
    assert (told.out, told.err) == ("job/night/b\n", "there are more than these 1\n")
    table = (await served.tendril("get", "edges")).out.splitlines()
    assert [line.split()[:4] for line in table] == [
        ["NAME", "PHASE", "SERVICE", "RUNTIME"],
        ["s/e", "online", "-", "simulated"],
    ]
    assert json.loads((await served.tendril("get", "job", "a", "-o", "json")).out)["metadata"]["path"] == f"{JOBS}/a"
    mixed = ("get", "job/a", "edge/s/e", "job/none", "job/night/b")
    assert (await served.tendril(*mixed, "-o", "name")).out == "job/default/a\nedge/s/e\njob/night/b\n"
    told = await served.tendril(*mixed)
    assert [line.split()[0] for line in told.out.splitlines()] == ["NAME", "default/a", "night/b", "NAME", "s/e"]
    assert (told.code, told.err.count("\n")) == (3, 1)
    described = (await served.tendril("describe", f"{JOBS}/a")).out
    assert "executions: []" in described
    both = await served.tendril("describe", "job/none", "job/a")
    assert (both.code, both.out.splitlines()[0].split()) == (3, ["Name:", "default/a"])
    assert both.err == f"tendril: {JOBS}/none does not exist; `tendril get jobs` lists what is there\n"
    assert "created" in described.splitlines()[-1]
    assert "job-groups" in (await served.tendril("kinds")).out


async def test_what_is_wrong_has_its_exit_code_and_one_sentence(served: Served) -> None:
    await done(served.gateway.store, job("a"))
    for arguments, code, told in (
        (("get", "job", "x"), 3, f"{JOBS}/x does not exist; `tendril get jobs` lists what is there"),
        (("get", "jobs", "-g", "none"), 3, "--in, -g: /config/job-groups/none does not exist"),
        (("get", "jobs", "--sort", "colour"), 2, "--sort: nothing is sorted by 'colour'"),
        (("get", "jobs", "--colour", "red"), 2, "Unknown option"),
        (("get", "flowers"), 2, "there is no kind 'flowers'; a name comes after its kind, as in job/NAME"),
        (("delete", "scheduler"), 7, "users do not change or delete that"),
        (("wait", "job/x"), 3, f"{JOBS}/x does not exist"),
        (("wait", "job/a", "--timeout", "1s"), 6, "it was not so after 1s"),
        (("apply", "-f", "/nowhere"), 2, "/nowhere cannot be read: No such file or directory"),
        (("get", "jobs", "--url", "http://127.0.0.1:9"), 5, "the API at http://127.0.0.1:9 does not answer"),
        (("get", "jobs", "--url", f"{served.url}/v1"), 3, "nothing is served at this address; say where"),
        (("get", "jobs", "--url", "localhost"), 2, "--url: 'localhost' is no address"),
    ):
        done_ = await served.tendril(*arguments)
        assert done_.code == code, (arguments, done_)
        assert done_.out == ""
        last = done_.err.splitlines()[-1]
        assert (last.startswith("tendril: "), told in last) == (True, True), (arguments, done_.err)


async def test_files_are_applied_and_compared(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "red.yaml"
    red = {"kind": "job-group", "metadata": {"name": "red"}, "spec": {"description": "Reds"}}
    one = {"kind": "Job", "metadata": {"name": "red/one", "labels": {"a": "b"}}, "spec": {"steps": [STEP]}}
    file.write_text(yaml.safe_dump_all([red, one]))
    dry = await served.tendril("apply", "-f", str(file), "--dry-run")
    assert dry.out == "job-group/red created (dry run)\n"
    assert dry.code == 3  # its parent is not there yet
    assert "document 2: job/red/one: " in dry.err
    applied = await served.tendril("apply", "-f", str(file))
    assert (applied.out, applied.code) == ("job-group/red created\njob/red/one created\n", 0)
    again = await served.tendril("apply", "-f", "-", stdin=file.read_text().replace("Reds", "Blues"))
    assert again.out == "job-group/red changed\njob/red/one unchanged\n"
    shown = (await served.tendril("get", "jobs", "-g", "red", "-o", "yaml")).out
    file.write_text(shown)
    same = await served.tendril("diff", "-f", str(file))
    assert (same.out, same.code) == ("", 0)
    file.write_text(shown.replace("retries: 2", "retries: 5"))
    different = await served.tendril("diff", "-f", str(file))
    assert different.code == 1
    assert "-  retries: 2\n+  retries: 5\n" in different.out
    file.write_text(shown.replace("retries: 2", "retriez: 5"))
    wrong = await served.tendril("apply", "-f", str(file))
    assert (wrong.code, "/spec/retriez" in wrong.err) == (2, True)
    file.write_text(yaml.safe_dump_all([red, {"kind": "jobz", "metadata": {"name": "x"}}, {**one, "spec": {}}, one]))
    some = await served.tendril("apply", "-f", str(file))
    assert (some.out, some.code) == ("job-group/red changed\njob/red/one unchanged\n", 2)
    assert [line.split(": ")[1:4] for line in some.err.splitlines()] == [
        [
            f"{file}, document 2",
            "/kind",
            "there is no kind 'jobz'; did you mean `job`? `tendril kinds` lists what there is",
        ],
        [f"{file}, document 3", "job/red/one", "/spec/steps"],
    ]


async def test_deletions_are_previewed_and_waited_for(served: Served) -> None:
    await done(served.gateway.store, job("a"), Command("create", "/config/job-groups/night"))
    assert (await served.tendril("delete", "job", "a", "--preview")).out == (
        f"{JOBS}/a would wait until somebody has cleaned up\n"
    )
    gone = await served.tendril("delete", "job-group/night", "job-group/none")
    assert (gone.out, gone.code) == ("job-group/night deleted\n", 3)
    async with silent() as url:
        late = await tendril(url, "delete", "job/a", "job/b", "--wait", "--timeout", "1s")
    assert (late.code, late.err) == (6, "tendril: it was not so after 1s; look at it with `tendril describe`\n")
    async with running(served.url, "delete", "job", "a", "--wait") as process:
        assert await lines(process, 1) == ["job/default/a is being deleted, which waits for: attempts"]
        cleaned = Command("finalize", f"{JOBS}/a", {"finalizer": "attempts"})
        await done(served.gateway.store, cleaned, actor=SYSTEM)
        assert await lines(process, 1) == ["job/default/a deleted"]
        assert await process.wait() == 0


async def test_jobs_are_submitted_and_waited_for(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(yaml.safe_dump_all([{"name": name, "steps": [STEP]} for name in "ab"]))
    async with running(served.url, "submit", str(file), "--wait") as process:
        assert await lines(process, 2) == ["job/default/a submitted", "job/default/b submitted"]
        await phase(served, "a", "succeeded", percentCompleted=100.0)
        await phase(served, "b", "failed")
        out, err = await process.communicate()
        assert (out, process.returncode) == (b"job/default/a succeeded\n", 1)
        assert b"job/default/a succeeded 100%\n" in err
        assert err.decode().splitlines()[-1] == (
            "tendril: job/default/b has failed; `tendril explain job/default/b` says more"
        )
    again = await served.tendril("submit", str(file))
    assert again.code == 4
    says = f"tendril: {file}, document 1: /name: {JOBS}/a already exists; take another name, or delete the other one first\n"
    assert again.err == says
    file.write_text("name: c\n")
    wrong = await served.tendril("submit", str(file))
    assert (wrong.code, wrong.err) == (2, f"tendril: {file}: /steps: Field required; correct that and try again\n")
    finished = await served.tendril("wait", "job/a", "job/b", "--for", "finished")
    assert (finished.out, finished.code) == ("job/default/a finished\njob/default/b finished\n", 0)
    assert (await served.tendril("wait", "job/b")).code == 1
    assert (await served.tendril("wait", "job", "a", "--for", "status.percentCompleted=100")).code == 0
    never = await served.tendril("wait", "job", "b", "--for", "status.chunks.succeeded=8")
    assert (never.code, never.err.splitlines()[-1]) == (
        1,
        "tendril: job/default/b has failed, and its status.chunks.succeeded is -; `tendril explain job/default/b` says more",
    )
    await served.tendril("retry", "b")
    async with running(served.url, "wait", "job", "b") as process:
        assert process.stderr is not None
        assert await process.stderr.readline() == b"job/default/b failed 0%\n"
        await phase(served, "b", "running")
        await phase(served, "b", "succeeded", percentCompleted=100.0)
        assert await lines(process, 1) == ["job/default/b succeeded"]
    assert (await served.tendril("wait", "job/nobody", "--for", "deleted")).code == 0


def frame(offset: int, line: str, *, last: bool = False) -> bytes:
    records = (Record(0, "stdout", 10**18, line.encode()),)
    return encode(Frame(1, offset, records, Position(), Taken(), last))


async def test_logs_are_read_and_followed(served: Served) -> None:
    node = await new_job(served.gateway.store, steps=[STEP])
    early = await served.tendril("logs", "j")
    assert (early.code, early.err.startswith("tendril: --chunk: chunk 0 has not been placed yet")) == (3, True)
    await new_edge(served.gateway.store)
    await place(served.gateway.store, node)
    key = key_of("s", "e", attempt_path(node).rpartition("/")[2])
    sequence = served.transcripts.put(key, 0, frame(0, "one\n"))
    assert (await served.tendril("logs", "default/j")).out == "one\n"
    async with running(served.url, "logs", "job/j", "-f", "--step", "run") as process:
        assert await lines(process, 1) == ["one"]
        served.transcripts.put(key, sequence, frame(4, "two\n", last=True))
        await report(served.gateway.store, attempt_path(node), phase="succeeded")
        assert await lines(process, 1) == ["two"]
        assert await process.wait() == 0
    assert (await served.tendril("logs", "j", "--step", "none")).code == 3


async def test_chunks_are_said_beside_the_file_and_printed_as_the_job_has_them(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump({"name": "a", "chunks": 9, "workWs": 90, "steps": [STEP]}))
    both = await served.tendril("submit", str(file), "--chunks", "2", "--array", "0-3")
    assert (both.code, both.err) == (
        2,
        "tendril: --array, --chunks, --max-chunks: each says how many chunks there are; give one of them\n",
    )
    wrong = await served.tendril("submit", str(file), "--array", "0-3,1")
    assert wrong.err == f"tendril: {file}: /array: the index 1 is in it twice; correct that and try again\n"
    await new_edge(served.gateway.store)
    async with running(served.url, "submit", str(file), "--array", "7,40%1", "--logs") as process:
        assert await lines(process, 1) == ["job/default/a submitted"]
        await written(served, "a", 0, "one")
        assert await lines(process, 1) == ["[0 [7]] one"]
        await written(served, "a", 1, "two")
        assert await lines(process, 1) == ["[1 [40]] two"]
        await phase(served, "a", "succeeded")
        assert await process.wait() == 0
    assert (await present(served.gateway.store, f"{JOBS}/a")).spec["maxParallel"] == 1
    file.write_text(file.read_text().replace("name: a", "name: b"))
    async with running(served.url, "submit", str(file), "--max-chunks", "5", "--logs") as process:
        assert await lines(process, 1) == ["job/default/b submitted"]
        split = Command("patchStatus", f"{JOBS}/b", {"split": {"chunks": 2}})
        await done(served.gateway.store, split, actor=SYSTEM)
        await written(served, "b", 0, "one")
        assert await lines(process, 1) == ["[0] one"]
        await written(served, "b", 1, "two")
        assert await lines(process, 1) == ["[1] two"]
        await phase(served, "b", "succeeded")
        assert await process.wait() == 0
    table = (await served.tendril("get", "jobs")).out.splitlines()
    assert [line.split()[3:5] for line in table] == [["CHUNKS", "SPLIT"], ["2", "-"], ["-", "2"]]


async def written(served: Served, name: str, chunk: int, line: str) -> None:
    """A chunk of a job is placed, writes a line, and succeeds."""
    node = await present(served.gateway.store, f"{JOBS}/{name}")
    path = await place(served.gateway.store, node, chunk)
    served.transcripts.put(key_of("s", "e", path.rpartition("/")[2]), 0, frame(0, f"{line}\n", last=True))
    await report(served.gateway.store, path, phase="succeeded")


async def test_what_looks_like_the_end_of_a_line_breaks_no_stream(served: Served) -> None:
    odd = "a\u2028b\u2029c\x85d"
    await new_edge(served.gateway.store)
    node = await new_job(served.gateway.store, steps=[{**STEP, "script": odd}])
    await place(served.gateway.store, node)
    key = key_of("s", "e", attempt_path(node).rpartition("/")[2])
    served.transcripts.put(key, 0, frame(0, f"{odd}\n", last=True))
    await report(served.gateway.store, attempt_path(node), phase="succeeded")
    followed = await served.tendril("logs", "j", "-f")
    assert (followed.code, followed.out) == (0, f"{odd}\n"), followed.err
    await phase(served, "j", "succeeded")
    waited = await served.tendril("wait", "job", "j")
    assert (waited.code, waited.out) == (0, "job/default/j succeeded\n"), waited.err
    async with running(served.url, "watch", "jobs", "-o", "json") as process:
        (line,) = await lines(process, 1)
        assert json.loads(line)["node"]["spec"]["steps"][0]["script"] == odd


async def test_changes_are_watched_until_an_interruption(served: Served) -> None:
    await done(served.gateway.store, job("a"))
    async with running(served.url, "watch", "jobs", "-o", "name") as process:
        assert await lines(process, 1) == ["added job/default/a"]
        await done(served.gateway.store, job("b"))
        assert await lines(process, 1) == ["added job/default/b"]
        await phase(served, "a", "running")
        assert await lines(process, 1) == ["modified job/default/a"]
        process.send_signal(2)
        out, err = await process.communicate()
        assert (process.returncode, out, err) == (130, b"", b"")
    async with running(served.url, "get", "job", "a", "--watch") as process:
        header, row = await lines(process, 2)
        assert header.split()[:3] == ["EVENT", "NAME", "PHASE"]
        assert row.split()[:3] == ["added", "default/a", "running"]


async def test_kinds_of_another_model_need_nothing(tmp_path: Path) -> None:
    store = memory_store(garden.MODEL)
    await seed(store)
    (tmp_path / "f").write_text(
        "{kind: bed, metadata: {name: b}}\n---\n{kind: flower, metadata: {name: b/rose}, spec: {heightCm: 80}}\n"
    )
    async with open_gateway(store) as gateway, serving(gateway) as (_, client):
        url = str(client.base_url)
        assert (await tendril(url, "apply", "-f", str(tmp_path / "f"))).out == "bed/b created\nflower/b/rose created\n"
        assert (await tendril(url, "get", "flowers")).out == "NAME    PHASE  HEIGHT\nb/rose  bud    80\n"
        assert (await tendril(url, "get", "shed", "-o", "name")).out == "shed\n"
        assert (await tendril(url, "wait", "flower/b/rose", "--for", "bud")).out == "flower/b/rose bud\n"


async def test_a_terminal_shows_a_bar(served: Served) -> None:
    await done(served.gateway.store, job("a"))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TENDRIL_URL": served.url, "TERM": "xterm", "COLUMNS": "100"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from gateway.cli import main; main()",
        *("wait", "job/a"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    async with asyncio.timeout(30):
        while b"job/default/a pending" not in seen:
            seen += await asyncio.to_thread(os.read, ours, 65536)
        await phase(served, "a", "succeeded")
        out, _ = await process.communicate()
    os.close(ours)
    assert (out, process.returncode) == (b"job/default/a succeeded\n", 0)
    assert "━" in seen.decode()


async def test_jobs_are_asked_by_name_or_all_that_are_selected(served: Served) -> None:
    await done(served.gateway.store, job("a"), job("b"), job("c"))
    assert (await served.tendril("suspend", "a", "job/b")).out == (
        "job/default/a is being suspended\njob/default/b is being suspended\n"
    )
    await phase(served, "c", "succeeded")
    told = await served.tendril("abort", "-g", "default", "--field-selector", "status.phase!=failed")
    assert told.out == "job/default/a is being aborted\njob/default/b is being aborted\n"
    assert (told.code, told.err) == (4, f"tendril: {JOBS}/c has ended: it is succeeded\n")
    await phase(served, "a", "aborted")
    for arguments, code, said in (
        (("resume", "b"), 4, f"{JOBS}/b is aborted, for good"),
        (("retry", "none"), 3, f"{JOBS}/none does not exist; `tendril get jobs` lists what is there"),
        (
            ("abort",),
            2,
            "which jobs is not said; name them, or select them by -g, -l, --field-selector, --phase or --all",
        ),
        (("abort", "a", "--all"), 2, "jobs are named, or they are selected"),
    ):
        found = await served.tendril(*arguments)
        assert (found.code, said in found.err) == (code, True), found.err
    none = await served.tendril("abort", "-l", "team=none")
    assert (none.code, none.out, none.err) == (0, "", "no jobs found\n")
    spec = (await served.gateway.store.nodes([f"{JOBS}/a"]))[f"{JOBS}/a"].spec
    assert spec["intent"] == "abort"


async def test_edges_are_cordoned_drained_and_used_again(served: Served) -> None:
    for name in ("e", "f"):
        await new_edge(served.gateway.store, name)
    for arguments, out in (
        (("cordon", "s/e", "edge/s/f"), "edge/s/e is cordoned\nedge/s/f is cordoned\n"),
        (("drain", "--in", "s", "e", "--grace", "10m"), "edge/s/e is being drained\n"),
        (("uncordon", "/inventory/sites/s/edges/f"), "edge/s/f is used again\n"),
    ):
        told = await served.tendril(*arguments)
        assert (told.code, told.out) == (0, out), told.err
    async with running(served.url, "wait", "edge-config", "s/e", "--for", "drained") as process:
        gone = {"phase": "drained", "observedGeneration": 2}
        await done(served.gateway.store, Command("patchStatus", "/config/sites/s/edges/e", gone), actor=SYSTEM)
        assert await lines(process, 1) == ["edge-config/s/e drained"]
        assert await process.wait() == 0
    table = (await served.tendril("get", "edge-configs")).out.splitlines()
    assert [line.split()[:2] for line in table[1:]] == [["s/e", "drain"], ["s/f", "use"]]
    mistakes: tuple[tuple[tuple[str, ...], int, str], ...] = (
        (("cordon", "s/none", "s/f"), 3, "/inventory/sites/s/edges/none does not exist; `tendril get edges`"),
        (("cordon", "e"), 2, "'e' does not say which edge"),
        (("cordon", "job/default/a"), 2, "too many names for an edge"),
        (("cordon", "/config/job-groups/default/jobs/a"), 2, "job/default/a is not an edge"),
        (("drain", "s/e", "--grace", "soon"), 2, "--grace: 'soon' is no time"),
        (("drain", "s/e", "--grace", "300d"), 2, "tendril: --grace: "),
    )
    for mistake, code, said in mistakes:
        found = await served.tendril(*mistake)
        assert (found.code, said in found.err) == (code, True), found.err
    path = "/config/sites/s/edges/f"
    assert (await served.gateway.store.nodes([path]))[path].spec["intent"] == "cordon", (
        "what one refuses keeps no other"
    )


async def test_edges_are_said_to_be_lost_or_off_and_late_results_adopted(served: Served) -> None:
    store = served.gateway.store
    for name, phase in (("e", "disconnected"), ("f", "online")):
        await new_edge(store, name)
        patch = Command("patchStatus", f"/inventory/sites/s/edges/{name}", {"phase": phase})
        await done(store, patch, actor=SYSTEM)
    told = await served.tendril("lost", "s/e", "s/f", "--reason", "sunk")
    assert (told.code, told.out, "s/f is heard from" in told.err) == (4, "edge/s/e is given up\n", True)
    assert (await served.tendril("off", "edge/s/e")).out == "edge/s/e counts as switched off\n"
    word = (await store.nodes(["/config/sites/s/edges/e"]))["/config/sites/s/edges/e"].spec["word"]
    assert (word["says"], word["reason"]) == ("off", "")
    made = await new_job(store, "late", chunks=1)
    older = await place(store, made)
    await done(store, Command("patchSpec", older, {"intent": "abandon"}), actor=SYSTEM)
    await place(store, made, epoch=2, edge="f")
    refused = await served.tendril("adopt", older)
    assert (refused.code, "only what has succeeded can be adopted" in refused.err) == (4, True)
    await report(store, older, phase="succeeded")
    adopted = await served.tendril("adopt", "s/e/" + older.rpartition("/")[2])
    assert (adopted.code, adopted.out.endswith(" is adopted\n")) == (0, True), adopted.err
    assert (await store.totals([made.uid]))[made.uid].phases == {"succeeded": 1}
    await done(store, Command("patchStatus", "/inventory/sites/s/edges/e", {"phase": "lost"}), actor=SYSTEM)
    assert (await served.tendril("delete", "edge", "s/e")).code == 0


async def test_a_job_is_explained(served: Served) -> None:
    await new_edge(served.gateway.store)
    failing = await new_job(served.gateway.store, "a", retries=0)
    await report(served.gateway.store, await place(served.gateway.store, failing), phase="failed", reason="OOMKilled")
    await done(served.gateway.store, job("b"))
    told = await served.tendril("explain", "a", "b")
    assert told.code == 0
    assert told.out.splitlines() == [
        "job/default/a: all of its chunks have ended, and its status follows",
        "  CHUNK  FAILED  GOES ON  EDGE  REASON     MESSAGE",
        "  0      1       no       s/e   OOMKilled",
        "",
        "job/default/b: 1 of its 1 chunks wait: of 1 edges, 1 is not online (s/e is new, and not online)",
        "  EDGES  REASON     AS",
        "  1      NotOnline  s/e is new, and not online",
        "  before it: 0 chunks of 0 jobs, of its group 0 of 0",
        "  it would take: s/e is online",
        "  start: not known (no chunk has succeeded lately, so nothing tells when there is room)",
    ]
    document = json.loads((await served.tendril("explain", "a", "-o", "json")).out)
    assert document["failures"][0]["reason"] == "OOMKilled"
    several = await served.tendril("explain", "a", "none", "b", "-o", "json")
    assert [one["path"] for one in json.loads(several.out)["items"]] == [f"{JOBS}/a", f"{JOBS}/b"]
    assert several.code == 3
    assert several.err == f"tendril: {JOBS}/none does not exist; `tendril get jobs` lists what is there\n"
    assert (await served.tendril("explain", "none", "-o", "yaml")).out == ""


async def test_a_job_is_explained_as_it_was(served: Served) -> None:
    made = await new_job(served.gateway.store, "a")
    then = str(await served.gateway.position())
    await new_edge(served.gateway.store)
    decision = {"policy": "firstFit", "order": "arrival", "edges": 1}
    await place(served.gateway.store, made, decision=decision)
    told = (await served.tendril("explain", "a")).out.splitlines()
    assert told[0].startswith("job/default/a: 0 of its chunks run, 1 placed and not begun")
    assert told[3].split() == ["CHUNK", "PLACED", "ON", "SINCE", "WHY"]
    assert told[4].endswith("firstFit among 1 edges that suited; arrival: it was the first to come")
    past = await served.tendril("explain", "a", "--as-of", then)
    assert past.out.splitlines()[0] == "job/default/a: 1 of its 1 chunks wait: there is no edge"
    assert (await served.tendril("explain", "a", "--as-of", "never")).err.startswith("tendril: --as-of: a position")
