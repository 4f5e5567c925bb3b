"""Python's collector of cycles, set for a process that handles batches and makes no cycles."""

import gc
from typing import Final

# A batch makes some thousand tuples and frees them again; the default of 700 would look at them several times over.
NEW_MAX: Final = 50_000


def freeze() -> None:
    """Leave what start-up made out of all later collections, and make these rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_MAX)
