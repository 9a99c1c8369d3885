"""Which model a program works with: the one that the environment names."""

import importlib
import os

from datamodel.errors import Invalid, TendrilError
from datamodel.model import Model

VARIABLE = "TENDRIL_MODEL"
DEFAULT = "datamodel.scheduling.model"
"""What is loaded where nobody says anything else."""


def load_model(name: str | None = None) -> Model:
    """The `MODEL` of a module; without a name, of the one that `TENDRIL_MODEL` names. Raises `Invalid` where
    there is none, or it is none."""
    name = name or os.environ.get(VARIABLE) or DEFAULT
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise Invalid(f"{name} imports {error.name!r}, which is not there", field=VARIABLE) from error
        raise Invalid(f"{name!r}: there is no module {error.name!r} here", field=VARIABLE) from error
    except TendrilError:
        raise  # it says itself which declaration is wrong
    except Exception as error:
        raise Invalid(f"{name} cannot be imported: {type(error).__name__}: {error}", field=VARIABLE) from error
    model = getattr(module, "MODEL", None)
    if model is None:
        places = [module.__file__] if module.__file__ else list(module.__path__)
        raise Invalid(f"{name} has no `MODEL`; it is that of {', '.join(places)}", field=VARIABLE)
    if not isinstance(model, Model):
        raise Invalid(f"`MODEL` of {name} is a {type(model).__name__}, and no Model", field=VARIABLE)
    return model


def load_extension(of: Model, program: str) -> Model:
    """The model of the environment, for a program that is written for the kinds of another. Raises `Invalid` where it has
    not all of those."""
    model = load_model()
    if not model.includes(of):
        listed = ", ".join(of.kinds)
        raise Invalid(
            f"{program} works on the kinds of another model than {VARIABLE} names, which has not all of {listed}",
            field=VARIABLE,
        )
    return model
