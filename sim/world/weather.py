"""How rough a world is: what becomes of messages and requests that no fault concerns."""

import msgspec


class Weather(msgspec.Struct, frozen=True):
    """Delays are seconds (least, most); the others are probabilities, of each message or request."""

    hub_delay_s: tuple[float, float] = (0.0005, 0.004)
    """Between the hub's programs and its database and message server, one way."""
    edge_delay_s: tuple[float, float] = (0.005, 0.06)
    """Between an edge and the hub, one way."""
    lost: float = 0.0
    duplicated: float = 0.0
    reordered: float = 0.0
    unanswered: float = 0.0
    """Of requests to the database: a third of these are lost, a third are carried out late, and a third are not answered."""


CALM = Weather()
ROUGH = Weather(lost=0.01, duplicated=0.01, reordered=0.02, unanswered=0.01)
"""Rough seas on every line, on top of the script's faults."""
