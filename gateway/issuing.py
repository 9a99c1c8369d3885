"""Having keys signed by the API: what is asked for, and how long that is waited for."""

import sys
import time
from collections.abc import Callable

from datamodel.errors import Invalid, TendrilError
from datamodel.scheduling.credentials import REFUSED, SIGNED
from gateway.commands.client import Client, Document
from gateway.commands.deadline import seconds_of
from gateway.commands.failure import Exit, Failure

SIGNED_TIMEOUT_S = 30.0
LOOK_S = 0.1


def put(client: Client, path: str, spec: Document) -> Document:
    """Makes the node be so. What others say of a site stays."""
    if not spec and client.find(path) is not None:
        return {}
    found: Document = client.write("PUT", f"/v1{path}", {"spec": spec}).json()
    return found


def signed(client: Client, path: str, wanted: Document) -> Document:
    """The node once its key is signed."""
    generation, until = wanted["metadata"]["generation"], time.monotonic() + SIGNED_TIMEOUT_S
    while time.monotonic() < until:
        found = client.get(f"/v1{path}")
        status = found["status"]
        if status.get("observedGeneration", 0) >= generation:
            if status["phase"] == SIGNED:
                return found
            if status["phase"] == REFUSED:
                raise Failure(f"nothing is signed for it: {status['reason']}")
        time.sleep(LOOK_S)
    raise Failure("nobody has signed it", "do reconcilers run that were given TENDRIL_NATS_AUTHORITY?", Exit.TIMED_OUT)


def seconds(text: str, option: str) -> int:
    return int(seconds_of(text, option))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def checked(command: Callable[[], None]) -> int:
    try:
        command()
    except Failure as failure:
        sys.stderr.write(f"edge: {failure.sentence}\n")
        return failure.code
    except Invalid as error:
        sys.stderr.write(f"edge: {error.message}\n")
        return Exit.INVALID
    except OSError as error:
        sys.stderr.write(f"edge: {error.filename2 or error.filename}: {error.strerror}\n")
        return Exit.INVALID
    except TendrilError as error:
        sys.stderr.write(f"edge: {error}\n")
        return Exit.FAILED
    return Exit.FINE
