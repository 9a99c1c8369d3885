"""What processes cannot be given. Pure."""

from agents.runtimes.protocol import Refusal, Work
from agents.runtimes.reasons import UNSUPPORTED


def unsupported(work: Work) -> Refusal | None:
    """Refuses a job that asks for what only an engine can give. What no job asks for is not missed: an image, a network of
    its own and a read-only root are every container's, and that there is none of them here is the operator's choice."""
    asked = {
        "network": work.network != "none",
        "requests.gpus": work.gpus is not None,
        "limits.pids": work.limits.pids > 0,
        "limits.tmpBytes": work.limits.tmp_bytes > 0,
        "limits.swapBytes": work.limits.swap_bytes > 0,
        "user": any(step.user for step in work.steps),
    }
    missing = [name for name, is_asked in asked.items() if is_asked]
    if not missing:
        return None
    return Refusal(UNSUPPORTED, f"the process runtime of this edge cannot give {', '.join(missing)}")
