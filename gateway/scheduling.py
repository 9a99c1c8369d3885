"""The verbs of job scheduling, for the models that have its kinds."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.kinds import Document
from datamodel.model import Model
from datamodel.scheduling.model import MODEL
from gateway.backend import Backend
from gateway.extras import Extras
from gateway.fronts.routes import add_front_schemas, front_routes
from gateway.graphql.edges import edge_mutations
from gateway.graphql.jobs import job_fields, job_mutations
from gateway.jobs import job_status
from gateway.rest.edges import edge_routes
from gateway.rest.job_schemas import add_job_schemas
from gateway.rest.jobs import job_routes
from gateway.rest.route import DirectRoute
from gateway.rest.secret_schemas import add_secret_schemas
from gateway.rest.secrets import secret_routes
from gateway.rest.verbs import verb_routes
from gateway.settings import Front


def extras_of(model: Model, fronts: Collection[Front]) -> Extras:
    """What there is beside the kinds of a model, with these front ends."""
    if not model.includes(MODEL):
        return Extras()
    return Extras(
        routes=_routes,
        last_routes=partial(front_routes, fronts),
        schemas=partial(_schemas, fronts),
        fields={"Job": job_fields},
        statuses={"Job": job_status},
        mutations=_mutations,
    )


def _routes(backend: Backend) -> Sequence[DirectRoute]:
    return [*job_routes(backend), *verb_routes(backend), *edge_routes(backend), *secret_routes(backend)]


def _schemas(fronts: Collection[Front], schemas: Document) -> None:
    add_job_schemas(schemas)
    add_secret_schemas(schemas)
    add_front_schemas(fronts, schemas)


def _mutations(types: Mapping[str, Any]) -> Sequence[StrawberryField]:
    return [*job_mutations(types), *edge_mutations(types)]
