"""Whether a process lives: its own, one that ended, and nobody's id."""

import os
import subprocess
import sys

from streams.parent import alive


def test_a_process_lives_until_it_has_ended_and_nobody_has_the_id_zero() -> None:
    """One that ended and was waited for is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert (alive(os.getpid()), alive(1), alive(ended.pid), alive(0)) == (True, True, False, False)
