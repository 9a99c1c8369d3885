"""What an edge says of itself that changes while its agent runs: the power that there is, and the images that its engine has.
What it says once, when it registers, is not here, and neither is whether its engine answers (`agents/health.py`). Open first
`ports.py`, then `power.py`."""
