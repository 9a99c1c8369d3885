"""Jobs that came by the front ends of other systems, run to their end by a whole system."""

from pathlib import Path

import pytest

from sim.chaos.machine import machine

CANARY = "cAnArY-7f3a91"
BUILD = {
    "name": "Example Job",
    "metadata": {"GLOBAL": "test", "GIT_TOKEN": CANARY},
    "timeout_seconds": 60,
    "steps": [
        {"id": 1, "name": "Fails", "image": "busybox:latest", "script": "exit 3", "continue_on_error": True},
        {
            "id": 2,
            "name": "Hello World",
            "image": "busybox:latest",
            "script": 'echo "$JOB_NAME $GLOBAL $GIT_TOKEN"; test "$PWD" = "$(cd "$SHARED_DIR"; pwd)" && echo there',
            "metadata": {"GLOBAL": "own"},
        },
    ],
}
DEFINITION = {
    "name": "simple-success",
    "image": "busybox:latest",
    "command": ["echo", "hello world"],
    "resources": {"cpu_cores": 0.1, "memory_mb": 128, "gpu_count": 0},
}


@pytest.mark.timeout(240)
async def test_they_run(tmp_path: Path) -> None:
    async with machine(tmp_path / "home", edges=1, runtime="process") as up:
        built = (await up.ask("POST", "/build", json=BUILD)).json()["job_id"]
        submitted = (await up.ask("POST", "/jobs", json={"definition": DEFINITION})).json()["id"]
        request = "/v1alpha1/job-groups/group-0/job-requests/job-1"
        assert (await up.ask("PUT", request, json={"jobId": 1, "powerNeeded": 1})).json() == {"message": "job-1"}
        for name in (f"default/{built}", f"default/{submitted}", "group-0/job-1"):
            job = await up.finished(f"/v1/jobs/{name}", timeout_s=60)
            assert job["status"]["phase"] == "succeeded", job["status"]
        wrote = (await up.ask("GET", f"/v1/jobs/default/{built}/logs")).text
        assert "Example Job own ***" in wrote
        assert "there" in wrote
        shown = (await up.ask("GET", f"/jobs/{submitted}")).json()
        assert (shown["status"], shown["assigned_executor_id"]) == ("succeeded", "local/edge-1")
        assert (await up.ask("GET", request)).json()["status"]["state"]["percentCompleted"] == 100
        (edge,) = (await up.ask("GET", "/executors/healthy")).json()["executors"]
        assert edge["executor_info"]["id"] == "local/edge-1"
