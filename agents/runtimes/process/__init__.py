"""Steps as plain processes, for a machine without an engine.

Open first `runtime.py` (the protocol), then `shim.py`: the small program that stands over each step, outlives the agent
and leaves the exit status on disk. `sandbox.py` is what a step gives up before it runs, `bubblewrap.py` the better sandbox
where that program is installed, `cgroup.py` a step's limits where `delegation.py` finds a place for them, `identity.py` how a
process is recognised again, `record.py` and `directory.py` what lies on disk.

What the shim imports (`bubblewrap`, `cgroup`, `ending`, `identity`, `plan`, `record`, `sandbox`) stays within a few modules
of the standard library: it is started for every step.
"""
