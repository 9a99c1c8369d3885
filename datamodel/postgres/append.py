"""One transaction of the log: lock, read what the units name, admit, write what changed, commit; three round trips.

Positions come from the one row of `head`, under its lock, so what is committed is always a contiguous prefix and a reader
needs nothing but `position > mine`.
"""

import os
from collections.abc import Collection, Iterator, Sequence

from datamodel.admission import Admission
from datamodel.command import Unit
from datamodel.model import Model
from datamodel.needs import needs
from datamodel.postgres.present import Connection, read_present
from datamodel.postgres.script import commit_script, literal
from datamodel.rulebook import admit


async def append(connection: Connection, model: Model, units: Sequence[Unit]) -> Admission:
    """Admits units in one transaction on a connection of its own; what it returns is durable.

    Where it raises, the connection is left in a transaction of unknown state and must be closed.
    """
    wanted = needs(model, units)
    await connection.execute(_locks(wanted.leases))
    present = await read_present(connection, model, wanted)
    admission = admit(model, present.state, present.guards, units, present.position, present.now, _identifiers())
    await connection.execute(commit_script(present.state, admission, present.now))
    return admission


def _locks(leases: Collection[str]) -> str:
    """Begins, and takes the log's lock. The leases' row locks make an acquisition wait for this commit: an old token is
    never admitted after a new one is granted."""
    script = "BEGIN; SELECT FROM head FOR UPDATE"
    if leases:
        names = ", ".join(literal(name) for name in sorted(leases))
        script += f"; SELECT FROM leases WHERE name IN ({names}) ORDER BY name FOR SHARE"
    return script


def _identifiers() -> Iterator[str]:
    while True:
        yield os.urandom(16).hex()
