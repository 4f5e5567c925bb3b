"""What the figures were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from streams.server import find_binary, server_version


def describe() -> dict[str, str]:
    """Describe processor, kernel, Python, client and server; no name of host or user."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "load": ", ".join(f"{one:.1f}" for one in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "redis-py": version("redis"),
        "server": str(server_version(find_binary(None))),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
