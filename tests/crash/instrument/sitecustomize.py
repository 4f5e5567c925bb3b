"""Python imports this before anything else when its folder is on PYTHONPATH: role processes get their crash points.

Without the folder on the path nothing of this exists, so it costs the product nothing.
"""

import os
import sys
import traceback
from pathlib import Path

_FOLDER = "FILLONCE_CRASH_FOLDER"
_RECORD = "FILLONCE_CRASH_RECORD"


def _install(role: str) -> None:
    from tests.crash import wrap_redis, wrap_venue
    from tests.crash.striker import Striker

    striker = Striker(role, Path(os.environ[_FOLDER]), record=_RECORD in os.environ)
    wrap_redis.install(striker)
    wrap_venue.install(striker)


_told = sys.orig_argv
if _FOLDER in os.environ and "consumers.worker" in _told:
    try:
        _install(_told[_told.index("consumers.worker") + 1])
    except BaseException:  # noqa: BLE001 - Python would go on without its points
        traceback.print_exc()
        os._exit(70)
