"""What the OpenAPI document says of jobs beside their kind: their flat document, batches, executions."""

import msgspec

from datamodel.kinds import Document
from gateway.artifacts import ArtifactOfChunk
from gateway.executions import Execution
from gateway.explanation import Explanation
from gateway.jobs import GROUP_DEFAULT
from gateway.rest.chunks import ChunkOfJob
from gateway.rest.jobs import BATCH_LIMIT
from gateway.rest.openapi import LABELS, NAME, object_schema, reference
from gateway.rest.verbs import JobDone


def add_job_schemas(schemas: Document) -> None:
    """Adds to the schemas of the kinds, and says what pydantic does not of theirs."""
    schemas["Step"]["properties"]["env"]["additionalProperties"] = False  # names of another pattern are refused
    schemas["JobSpec"]["properties"]["annotations"]["anyOf"][0]["additionalProperties"] = False
    schemas["JobStatus"]["properties"]["executions"] = {
        "type": "array",
        "items": reference("Execution"),
        "description": "every edge where the job ran or runs; shown where one job is read",
    }
    schemas["JobDocument"] = _flat_job(schemas["JobSpec"])
    schemas["JobBatch"] = _batch()
    schemas["JobBatchAccepted"] = object_schema(items={"type": "array", "items": reference("Job")})
    schemas["ArtifactList"] = object_schema(
        items={"type": "array", "items": reference("ArtifactOfChunk")}, cursor={"type": ["string", "null"]}
    )
    schemas["JobsDone"] = object_schema(
        items={"type": "array", "items": reference("JobDone")}, cursor={"type": ["string", "null"]}
    )
    schemas["ChunkList"] = object_schema(
        items={"type": "array", "items": reference("ChunkOfJob")},
        cursor={"type": ["string", "null"]},
        pending={"type": "integer", "description": "chunks that were never placed, which are not listed"},
    )
    _add_edges(schemas)
    (_, named) = msgspec.json.schema_components(
        [Execution, ArtifactOfChunk, ChunkOfJob, JobDone, Explanation], ref_template="#/components/schemas/{name}"
    )
    schemas |= named


def _flat_job(spec: Document) -> Document:
    own = {
        "name": {**NAME, "description": "made up where there is none"},
        "group": {**NAME, "default": GROUP_DEFAULT},
        "labels": LABELS,
    }
    return {
        **spec,
        "title": "JobDocument",
        "description": "A job as it is submitted: its name, group and labels beside the fields of its spec.",
        "properties": {**own, **spec["properties"]},
    }


def _add_edges(schemas: Document) -> None:
    """What the list of all edges tells of each beside its node."""
    amounts = object_schema(
        cpu={"type": "number"}, memoryBytes={"type": "integer", "format": "int64"}, powerW={"type": "number"}
    )
    asked = schemas["EdgeConfigSpec"]["properties"]
    schemas["EdgeInUse"] = {
        **schemas["Edge"],
        "properties": {
            **schemas["Edge"]["properties"],
            "used": {**amounts, "description": "what is reserved there; of the present only"},
            "free": {**amounts, "description": "what may be reserved still; of the present only"},
            "service": {
                **object_schema(**asked, phase=schemas["EdgeConfigStatus"]["properties"]["phase"]),
                "description": "what operators ask of it, and how far that is",
            },
        },
    }
    listed = schemas["EdgeList"]
    items = {"type": "array", "items": reference("EdgeInUse")}
    schemas["EdgeInUseList"] = {**listed, "properties": {**listed["properties"], "items": items}}


def _batch() -> Document:
    jobs: Document = {"type": "array", "items": reference("JobDocument"), "minItems": 1, "maxItems": BATCH_LIMIT}
    return {**object_schema(jobs=jobs), "required": ["jobs"], "additionalProperties": False}
