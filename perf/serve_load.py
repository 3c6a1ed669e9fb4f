"""Load test of `aggan serve`: many clients at once, hostile ones among them. Prints JSON.

    python perf/serve_load.py --clients 50 --seconds 60

Each client sends images of a size of its own without pause, and waits when it is refused, as Retry-After asks. Every
reply must be an image of that size. The server is then stopped while all clients wait for a reply: what it accepted
must be answered. Memory is the server's resident set.
"""

import argparse
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from malformed import status
from PIL import Image as Pillow

HOST, PATH = "127.0.0.1", "/v1/translate?to=happy"
WARM_UP_SECONDS, MEMORY_INTERVAL = 10.0, 5.0


class Client:
    """Sends its image until `deadline`, and counts the replies."""

    def __init__(self, number: int, port: int, side: int) -> None:
        self.port, self.size = port, (side + number, side - number)
        stream = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
        Pillow.fromarray(pixels).resize(self.size, Pillow.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
        self.content = stream.getvalue()
        self.counts: Counter[str] = Counter()
        self.durations: list[float] = []

    def run(self, deadline: float) -> None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120)
        while time.monotonic() < deadline:
            time.sleep(self.send(connection))
        connection.close()

    def send(self, connection: http.client.HTTPConnection) -> float:
        """Send the image once. Returns the seconds to wait before the next time."""
        start = time.monotonic()
        try:
            connection.request("POST", PATH, self.content, {"content-type": "image/jpeg"})
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.counts[type(error).__name__] += 1
            connection.close()
            return 0.2
        if reply.status != 200:
            self.counts[str(reply.status)] += 1
            return float(reply.headers.get("retry-after", "1"))
        self.durations.append(time.monotonic() - start)
        self.counts["200" if self._is_own(body) else "wrong image"] += 1
        return 0.0

    def _is_own(self, body: bytes) -> bool:
        with Pillow.open(io.BytesIO(body)) as image:
            image.load()
            return image.size == self.size


def hostile(random: Random, image: bytes) -> bytes:
    """A malformed request: broken images, wrong lengths, unknown fields, noise."""
    head = "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n"
    cut = image[: random.randrange(len(image))]
    flipped = bytearray(image)
    for _ in range(20):
        flipped[random.randrange(len(flipped))] = random.randrange(256)
    path, content_type, length, body = random.choice(
        (
            (PATH, "image/jpeg", len(cut), cut),
            (PATH, "image/jpeg", len(flipped), bytes(flipped)),
            (PATH, "image/png", 500, random.randbytes(500)),
            (PATH, "image/png", 10**12, b"x"),
            (PATH, "multipart/form-data", 3, b"abc"),
            (PATH + "&colour=red", "image/png", 0, b""),
            ("/v1/translate?to=" + "%ff" * 900, "image/png", 0, b""),
            ("/v1/../../etc/passwd", "image/png", 0, b""),
        )
    )
    if random.random() < 0.1:
        return random.randbytes(300) + b"\r\n\r\n"
    return head.format(path, content_type, length).encode() + body


def attack(port: int, image: bytes, deadline: float, statuses: Counter[str]) -> None:
    random = Random(0)
    while time.monotonic() < deadline:
        if random.random() < 0.2:  # announces an image, sends a part of it, and leaves
            with socket.create_connection((HOST, port)) as connection:
                connection.sendall(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n".encode())
                connection.sendall(b"content-type: image/jpeg\r\n\r\n" + image[:500])
            statuses["left"] += 1
        else:
            statuses[status(HOST, port, hostile(random, image))] += 1
        time.sleep(0.02)


def resident_megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_port() -> int:
    with socket.socket() as server:
        server.bind((HOST, 0))
        return server.getsockname()[1]


def measure(process: subprocess.Popen[str], port: int, args: argparse.Namespace) -> dict[str, Any]:
    deadline = time.monotonic() + args.seconds
    clients = [Client(number, port, args.side) for number in range(args.clients)]
    statuses: Counter[str] = Counter()
    threads = [threading.Thread(target=client.run, args=(deadline,)) for client in clients]
    threads.append(threading.Thread(target=attack, args=(port, clients[0].content, deadline, statuses)))
    start = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(min(WARM_UP_SECONDS, args.seconds / 2))
    memory = []
    while time.monotonic() < deadline - MEMORY_INTERVAL:
        memory.append(round(resident_megabytes(process.pid), 1))
        time.sleep(MEMORY_INTERVAL)
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    memory.append(round(resident_megabytes(process.pid), 1))
    durations = sorted(duration for client in clients for duration in client.durations)
    counts = sum((client.counts for client in clients), Counter())
    return {
        "replies": dict(sorted(counts.items())),
        "translations_per_second": round(counts["200"] / seconds, 2),
        "least_and_most_per_client": [pick(client.counts["200"] for client in clients) for pick in (min, max)],
        "seconds_median_p95_max": [round(durations[int(part * (len(durations) - 1))], 2) for part in (0.5, 0.95, 1)],
        "hostile": dict(sorted(statuses.items())),
        "memory_mb_after_warm_up": memory,
    }


def stop(process: subprocess.Popen[str], port: int, args: argparse.Namespace) -> dict[str, Any]:
    """Stop the server once each client has sent one image and the queue holds what it accepted."""
    clients = [Client(number, port, args.side) for number in range(args.clients)]
    threads = [
        threading.Thread(target=client.send, args=(http.client.HTTPConnection(HOST, port),)) for client in clients
    ]
    connection = http.client.HTTPConnection(HOST, port, timeout=120)
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    connection.request("GET", "/health")
    accepted = json.loads(connection.getresponse().read())["taken"]
    process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    process.wait(180)
    for thread in threads:
        thread.join()
    return {
        "accepted_and_not_answered_yet": accepted,
        "replies": dict(sorted(sum((client.counts for client in clients), Counter()).items())),
        "seconds": round(time.monotonic() - start, 1),
        "exit_code": process.returncode,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="faces128")
    parser.add_argument("--side", type=int, default=512, help="of the images, in pixels, about")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--queue", type=int, default=20)
    args = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "aggan", "serve", args.model, "--port", str(port), "--queue", str(args.queue)]
        environment = os.environ | {"TMPDIR": folder}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            assert "http" in process.stdout.readline()
            results: dict[str, Any] = {"memory_mb_at_start": round(resident_megabytes(process.pid), 1)}
            results |= measure(process, port, args)
            results["stop"] = stop(process, port, args)
            results["files_left"] = len(list(Path(folder).rglob("*")))
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
