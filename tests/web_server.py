"""Web servers as processes, and one that serves another below a path, as nginx does."""

import http.client
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_HOP_BY_HOP = ("connection", "transfer-encoding")


PROMPT = "(press Ctrl-C to stop)"
"""The end of the line that each server prints when it is ready."""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@contextmanager
def server(
    command: Sequence[str], url: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that serves a URL; its output goes to `log`."""
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process:
        try:
            _wait_for(url, process, log)
            yield process
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(240):
        try:
            with direct.open(url, timeout=5):
                if PROMPT in log.read_text():
                    return
        except OSError:
            assert process.poll() is None, log.read_text()
        time.sleep(0.5)
    raise AssertionError(log.read_text())


@contextmanager
def below_path(path: str, port: int, *forwarded: str) -> Iterator[str]:
    """Serve what listens on `port` below a path; yields its URL. `forwarded` headers hold the visitor's host."""

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if not self.path.startswith(f"{path}/"):
                return self.send_error(404)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = dict(self.headers.items())
            headers = {key: value for key, value in headers.items() if key.lower() not in (*_HOP_BY_HOP, "host")}
            headers |= dict.fromkeys(forwarded, self.headers["host"])
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(self.command, self.path.removeprefix(path), body, headers)
            response = connection.getresponse()
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.end_headers()
            while content := response.read1(65536):
                self.wfile.write(content)
            connection.close()

        do_GET = do_POST = do_HEAD = forward  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{path}"
        server.shutdown()
