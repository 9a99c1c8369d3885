"""The nodes that a model seeds: what must be there before anybody asks for anything."""

from datamodel.cause import SEED
from datamodel.command import Actor, Command, Unit, raise_refused
from datamodel.model import Model
from datamodel.names import last_name
from datamodel.ports import Log
from datamodel.prepare import prepare


async def seed(log: Log) -> None:
    """Creates what the model seeds and does not exist yet; what people changed since stays as it is."""
    for node in log.model.seeds:
        unit = Unit((Command("create", node.path, node.spec),), _seeder(log.model, node.path), cause=SEED)
        (outcome,) = await log.append([prepare(log.model, unit)])
        if outcome[0].error is not None and outcome[0].error.field != "/metadata/name":
            raise_refused(outcome)


def _seeder(model: Model, path: str) -> Actor:
    kind, _ = model.locate(path)
    writers = kind.spec_writers if kind.spec_writers is not None else kind.plane.spec_writers
    return Actor(f"seed:{last_name(path)}", min(writers))
