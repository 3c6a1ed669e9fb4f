"""No request leaves the machine, and no library leaves its identifiers in the home folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from cli_helpers import files_below, write_image
from tiny_models import SMALL
from web_server import below_path, free_port, server

from aggan.study.design import Side

GUARD = Path(__file__).parent / "network_guard"
DEAD_PROXY = "http://127.0.0.1:9"
OWN_FILES = (".cache/aggan/", ".cache/matplotlib/", ".config/matplotlib/", "Library/Caches/aggan/")
"""What verbs may keep in the home folder: exported models and decoded images, and matplotlib's list of fonts."""
VERBS = """
import json, sys
from aggan.cli.main import run
for argv in json.loads(sys.argv[1]):
    assert run(argv) == 0, argv
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path | None:
    """The guard for code that is not Python, or None if there is no C compiler."""
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    library = tmp_path_factory.mktemp("guard") / "guard.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(GUARD / "guard.c"), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Guard:
    """The environment of a process that cannot reach other machines, and what it tried."""

    def __init__(self, folder: Path, library: Path | None) -> None:
        self.home, self.log = folder / "home", folder / "network.log"
        self.home.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGGAN_", "XDG_"))}
        path = os.pathsep.join([str(GUARD), os.environ.get("PYTHONPATH", "")])
        self.environment = kept | {"HOME": str(self.home), "NETWORK_LOG": str(self.log), "PYTHONPATH": path}
        if library:
            self.environment["LD_PRELOAD"] = str(library)

    def run(self, *command: str) -> None:
        subprocess.run([sys.executable, *command], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def attempts(self) -> list[str]:
        """The names and addresses that were refused."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def identifiers(self) -> set[str]:
        """Files that libraries left in the home folder."""
        return {file for file in files_below(self.home) if not file.startswith(OWN_FILES)}


@pytest.fixture
def guard(tmp_path, library) -> Guard:
    return Guard(tmp_path, library)


LOOK_UPS = {
    "Python": "import socket; socket.getaddrinfo('python.invalid', 80)",
    "C": "import ctypes; ctypes.CDLL(None).getaddrinfo(b'c.invalid', None, None, ctypes.byref(ctypes.c_void_p()))",
    "an address": "import socket; socket.create_connection(('192.0.2.1', 80))",
}


@pytest.mark.parametrize("language", LOOK_UPS)
def test_the_guard_records_what_a_process_looks_up(guard, library, language):
    if language == "C" and library is None:
        pytest.skip("no C compiler")
    subprocess.run([sys.executable, "-c", LOOK_UPS[language]], env=guard.environment, stderr=subprocess.DEVNULL)
    expected = {"Python": "python.invalid", "C": "c.invalid", "an address": "192.0.2.1"}[language]
    assert [attempt.split()[0] for attempt in guard.attempts()] == [expected]


@pytest.mark.slow
def test_training_translating_evaluating_and_exporting_send_nothing(tmp_path, faces, guard):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    run, inputs, out = str(tmp_path / "run"), str(faces / "test" / "neutral"), str(tmp_path / "out")
    networks = [f"--method.{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    training = ["--data.root", str(faces), "--data.size", "32", "--training.steps", "2", "--training.score-every", "1"]
    to = ["--to", "happy", "--out", out]
    verbs = [
        ["train", "aggan", "--out", run, *training, *networks],
        ["translate", run, inputs, *to, "--masks"],
        ["translate", run, inputs, *to, "--faces"],
        ["translate", run, inputs, *to, "--backend", "onnxruntime"],
        ["translate", run, inputs, *to, "--backend", "openvino"],
        ["evaluate", run, "--inputs", inputs, "--to", "happy", "--out", str(tmp_path / "results.json")],
        ["export", run, "--to", "onnx", "--out", out],
        ["export", run, "--to", "openvino", "--out", out],
        ["report", f"aggan={run}", "--out", str(tmp_path / "report")],
    ]
    guard.run("-c", VERBS, json.dumps(verbs))
    assert guard.attempts() == []
    assert guard.identifiers() == set()


@pytest.mark.slow
def test_a_study_sends_nothing_and_uses_no_proxy(tmp_path, guard):
    pytest.importorskip("fastapi")
    for folder in ("real", "fake"):
        for name in "abcdefgh":
            write_image(tmp_path / folder / f"{name}.png")
    study, fake = str(tmp_path / "study"), f"aggan={tmp_path / 'fake'}"
    create = ["create", "--real", str(tmp_path / "real"), "--fake", fake, "--trials", "2", "--out", study]
    guard.environment |= {"HTTP_PROXY": DEAD_PROXY, "http_proxy": DEAD_PROXY, "ALL_PROXY": DEAD_PROXY}
    guard.run("-m", "aggan", "study", *create)
    guard.run("-m", "aggan", "study", "simulate", study, "--rates", "aggan=0.5", "--participants", "2")
    assert guard.attempts() == []
    assert guard.identifiers() == set()


@pytest.mark.slow
def test_a_study_works_below_a_path_of_another_server(tmp_path):
    pytest.importorskip("fastapi")
    from studies import small_study

    from aggan.study.client import StudyClient
    from aggan.study.simulate import server_process

    study = small_study(tmp_path)
    with (
        server_process(study) as (_, address),
        below_path("/research/smiles", int(address.rpartition(":")[2])) as url,
        closing(StudyClient(url)) as client,
    ):
        links = re.findall(r'(?:href|src)="([^"]+)"', client.get("").decode())
        assert "static/study.js" in links
        client.join()
        assert all(client.get(path) for path in [*links, *(client.state["trials"][0][side] for side in Side)])
        assert client.answer(0, Side.LEFT)["done"] == 1


@pytest.mark.slow
def test_a_web_page_sends_nothing_and_uses_no_proxy(tmp_path, model, guard):
    pytest.importorskip("gradio")
    guard.environment |= {"HTTP_PROXY": DEAD_PROXY, "http_proxy": DEAD_PROXY, "ALL_PROXY": "socks5://127.0.0.1:9"}
    port = free_port()
    command = [sys.executable, "-m", "aggan", "demo", str(model), "--port", str(port), "--threads", "1"]
    with server(command, f"http://127.0.0.1:{port}", tmp_path / "log", guard.environment):
        pass
    assert f"http://127.0.0.1:{port} (press Ctrl-C to stop)" in (tmp_path / "log").read_text()
    assert guard.attempts() == []
    assert guard.identifiers() == set()


@pytest.mark.slow
def test_a_server_of_models_sends_nothing(tmp_path, model, guard):
    pytest.importorskip("fastapi")
    port = free_port()
    command = [sys.executable, "-m", "aggan", "serve", str(model), "--port", str(port), "--threads", "1"]
    url = f"http://127.0.0.1:{port}"
    with server(command, f"{url}/health", tmp_path / "log", guard.environment):
        content = write_image(tmp_path / "a.png").read_bytes()
        request = Request(f"{url}/v1/translate?to=happy", content, {"content-type": "image/png"})
        with build_opener(ProxyHandler({})).open(request, timeout=60) as reply:
            assert reply.status == 200
    assert guard.attempts() == []
    assert guard.identifiers() == set()


HUB_CALLS = {
    "download": "from_pretrained('nobody/nothing')",
    "upload": "os.environ['HF_TOKEN'] = 'hf_x'; push_to_hub('faces64', 'nobody/nothing')",
}


@pytest.mark.slow
@pytest.mark.parametrize("proxy", [DEAD_PROXY, "nonsense://", ""])
@pytest.mark.parametrize("action", HUB_CALLS)
def test_the_hub_cannot_be_reached_in_one_sentence_and_only_on_request(guard, action, proxy):
    pytest.importorskip("huggingface_hub")
    code = f"import os; from aggan.inference.hub import from_pretrained, push_to_hub; {HUB_CALLS[action]}"
    guard.environment |= dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy) | {"NO_PROXY": "", "no_proxy": ""}
    process = subprocess.run([sys.executable, "-c", code], env=guard.environment, capture_output=True, text=True)
    assert re.match(rf"aggan.errors.UserError: (cannot {action}|the Hugging)", process.stderr.splitlines()[-1])
    assert bool(guard.attempts()) == (not proxy)
    assert guard.identifiers() == set()
