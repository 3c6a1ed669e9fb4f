"""Where a web server listens."""

import socket
from ipaddress import ip_address

from aggan.errors import UserError


def url(host: str, port: int, https: bool = False) -> str:
    """The URL of a server. An IPv6 address gets brackets."""
    return f"http{'s' if https else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket; port 0 is any free port. Raises `UserError` if the address cannot be used."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise UserError(f"cannot listen on {url(host, port)}: {error}; choose another --host or --port") from error
    # Without this, each reply on a kept-alive connection waits 40 ms for the acknowledgement of the previous one.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
