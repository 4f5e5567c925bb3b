"""Where the example strategies are: in a checkout, or where an installation puts them."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from streams.errors import UsageError

EXAMPLES, TESTS = "examples/strategies", "tests/examples"


def starter(file: str, folder: str = EXAMPLES) -> Path:
    """Find one file of the examples.

    Raises:
        UsageError: this installation has none.
    """
    for root in (Path(__file__).parents[1], Path(sys.prefix) / "share" / "fillonce"):
        path = root / folder / file
        if path.is_file():
            return path
    raise UsageError(f"{file} is not part of this installation; install the whole package, or use a checkout.")


def module(name: str) -> ModuleType:
    """Import an example as a new module; raises as `starter`."""
    path = starter(f"{name}.py")
    spec = spec_from_file_location(f"fillonce_example_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    sys.modules[spec.name] = made  # annotations are looked up there
    spec.loader.exec_module(made)
    return made
