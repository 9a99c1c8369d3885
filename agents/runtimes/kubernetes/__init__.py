"""An attempt as a Job of a Kubernetes cluster: one pod whose init containers are the steps.

Open first `runtime.py` (the protocol), then `manifest.py` (what a Job is made of) and `report.py` (what the status of a Job and
its pods means); both are pure, as are `wrapper.py` (what runs inside the containers and what it tells), `lines.py` (what it
wrote) and `capacity.py`. `cluster.py` calls the API server, `watching.py` learns from it that something changed, and
`following.py` copies what steps write.
"""
