"""Python imports this when it starts: it records and refuses look-ups and connections that leave the machine."""

import os
import socket
import sys

_HOST = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0}
_HOST |= {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}
"""The argument of each audit event that holds the host."""
_OWN = {None, "", "localhost", "0.0.0.0", "::", "::1"}


def _refuse(event: str, arguments: tuple) -> None:
    if event not in _HOST:
        return
    host = arguments[_HOST[event]]
    if event != "socket.getaddrinfo" and isinstance(host, tuple):
        host = host[0]
    if isinstance(host, bytes) and event.startswith("socket.get"):
        host = host.decode()
    if not isinstance(host, str) or host in _OWN or host.startswith(("127.", "::ffff:127.", "/")):
        return
    with open(os.environ["NETWORK_LOG"], "a") as log:  # noqa: PTH123 - as little as possible is imported here
        print(host, "from", event, file=log)
    raise socket.gaierror(socket.EAI_FAIL, f"the test refuses {host}")


sys.addaudithook(_refuse)
