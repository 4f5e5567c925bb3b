"""What is true and how it is stored: words, rules, streams and scripts. Knows Redis, knows no venue."""

__project__ = "fillonce"
