"""What can be seen of the feed: how far it is behind the log, and what its stream holds."""

from nats.js.api import StreamState

from datamodel.errors import Transient
from datamodel.feed.bus import NATS_FAILURES, Bus
from datamodel.feed.stream import newest_stream, stream_name
from sim.soak.database import Database


async def stream_state(bus: Bus) -> StreamState:
    """Of the newest stream. Raises `Transient`."""
    stream = await newest_stream(bus)
    if stream is None:
        raise Transient("there is no stream")
    try:
        return (await bus.manager.stream_info(stream_name(stream.epoch))).state
    except NATS_FAILURES as error:
        raise Transient(f"JetStream did not answer: {error}") from error


def feed_sample(state: StreamState, database: Database) -> dict[str, float]:
    """Beside the database as it was just after: what was written between the two counts as lag. A stream has the last message
    of each node, and of each deleted one a tombstone: `surplus` is what it has beyond these, but for a constant (what was
    deleted before the stream began)."""
    return {
        "lag: feed behind the log": max(0, database.position - state.last_seq),
        "feed: messages": state.messages,
        "feed: bytes": state.bytes,
        "feed: bytes per message": state.bytes / max(1, state.messages),
        "feed: surplus messages": state.messages - database.live_nodes - database.deleted,
    }
