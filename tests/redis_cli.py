"""Stands in for `redis-cli -s SOCKET` where there is none: sends its arguments as one command, to the real server."""

import sys

from redis import Redis

if __name__ == "__main__":
    print(Redis(unix_socket_path=sys.argv[1]).execute_command(*sys.argv[2:]))  # noqa: T201 - as redis-cli does
