"""Benchmarks a person can run and believe: rounds interleaved, medians with their spread, beside their goals.

Not part of the installed program; `fillonce bench` finds them in a checkout. They import what they measure and
nothing imports them.
"""
