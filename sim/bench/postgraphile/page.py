"""The page of jobs as PostGraphile is asked for it, and what the gateway's answer would be."""

from typing import Any

from sim.bench.client import Client

_QUERY = """
query Page($below: String!, $first: Int!) { jobsOf(jobsBelow: $below, first: $first) { nodes {
  name createdAt phase percentCompleted executions { nodes { site edge chunks succeeded percent } }
} } }
"""


def postgraphile_page(client: Client, below: str, first: int) -> bytes:
    """The request for the first jobs below a path."""
    return client.request("POST", "/graphql", {"query": _QUERY, "variables": {"below": below, "first": first}})


def as_the_gateway(answer: dict[str, Any]) -> dict[str, Any]:
    """The gateway's answer for one of PostGraphile's, whose counts are texts and whose lists have nodes."""
    edges = [{"node": _job(job)} for job in answer["data"]["jobsOf"]["nodes"]]
    return {"data": {"node": {"jobs": {"edges": edges}}}}


def _job(job: dict[str, Any]) -> dict[str, Any]:
    executions = [
        {**one, "chunks": int(one["chunks"]), "succeeded": int(one["succeeded"])} for one in job["executions"]["nodes"]
    ]
    status = {"phase": job["phase"], "percentCompleted": job["percentCompleted"]}
    return {
        "name": job["name"],
        "createdAt": job["createdAt"].replace("+00:00", "Z"),
        "status": status,
        "executions": executions,
    }
