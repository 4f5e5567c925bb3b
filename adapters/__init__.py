"""Where orders go: venues behind one protocol, their wire formats, and simulated ones."""

__project__ = "fillonce"
