"""When things happen, and the wiring: the roles, the command line, and the checks before a start."""

__project__ = "fillonce"
