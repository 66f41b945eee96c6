"""A store of objects that speaks as S3 does, until its standard input is closed; it prints its port.

A program of its own: what it imports warns of much.
"""

from __future__ import annotations

import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)  # noqa: T201 - the test that started it reads it
sys.stdin.read()
server.stop()
