"""What must be all or nothing: one Lua script per state change, as data.

Each file opens with its contract (what it does, KEYS, ARGV, Returns). Scripts check first and write
last, touch only keys they were given, never decode a state and never calculate with prices or
quantities. `streams.scripts` loads them and is the only caller.
"""

__project__ = "fillonce"
