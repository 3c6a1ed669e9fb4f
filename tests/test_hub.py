"""Models that go to the Hub and come back, without a network."""

import json
from pathlib import Path

import pytest
import yaml
from translating import below, noise, saved

from aggan.data.folders import Data
from aggan.errors import UserError
from aggan.inference.hub import card, from_pretrained, push_to_hub, save_pretrained
from aggan.inference.translator import load
from aggan.methods.pretrained import WEIGHTS
from aggan.training.config import Recipe
from aggan.training.experiment import Experiment

hub = pytest.importorskip("huggingface_hub")
FILES = {"model.safetensors", "config.json", "README.md"}
ROW = {"pictures": 7, "judged": 0.5, "psnr": None, "intervals": {"judged": [0.25, 0.75]}}


@pytest.fixture
def run(tmp_path, small) -> Path:
    saved(tmp_path / "run" / "last", small)
    Experiment(system=small, data=Data(root=tmp_path), training=Recipe(batch=3, ema=0.9)).save(tmp_path / "run")
    results = {"version": 1, "to": "happy", "expression": "happy", "size": 32, "rows": {"translation": ROW}}
    (tmp_path / "run" / "results.json").write_text(json.dumps(results))
    return tmp_path / "run"


def test_a_saved_model_comes_back_the_same(tmp_path, run):
    save_pretrained(run, tmp_path / "mine")
    assert below(tmp_path / "mine") == FILES
    assert (tmp_path / "mine" / WEIGHTS).read_bytes() == (run / "last" / WEIGHTS).read_bytes()
    made, expected = (some(noise(20, 30), "happy").image for some in (from_pretrained(tmp_path / "mine"), load(run)))
    assert made.tobytes() == expected.tobytes()


def test_a_readme_that_is_there_stays(tmp_path, run, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    Path("README.md").write_text("my own")
    save_pretrained(run, Path())
    assert Path("README.md").read_text() == "my own"
    Path("README.md").unlink()
    save_pretrained(run, Path())
    assert "# mine\n" in Path("README.md").read_text()


def test_the_card_tells_the_model_its_training_and_its_figures(run, tmp_path):
    text = card(run, "me/smile", license="cc0-1.0")
    front = yaml.safe_load(text.split("---")[1])
    assert front["library_name"] == "aggan"
    assert (front["license"], front["pipeline_tag"]) == ("cc0-1.0", "image-to-image")
    for expected in (
        "# me/smile",
        'from_pretrained("me/smile")',
        'translator(picture, to="happy")',
        "| trained at | 32 x 32 px |",
        "| pictures of each domain a step | 3 |",
        "| moving average of the weights | 0.9 |",
        "On 7 held-out pictures at 32 px, translated to happy",
        "| judged as the target (share) | 0.5 (0.25 to 0.75) |",
        "| PSNR (dB) | - |",
        '"generator_width": 4',
    ):
        assert expected in text
    assert str(tmp_path) not in text


def test_a_card_says_where_nothing_was_measured_and_names_no_licence_by_itself(model):
    text = card(model, "smile")
    assert "Its translations have not been measured." in text
    assert "license" not in text.split("---")[1]
    assert "optimiser" not in text


def test_results_that_are_none_are_refused(model, tmp_path):
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(UserError, match=r"results\.json: not what aggan evaluate writes"):
        card(model, "smile", tmp_path / "results.json")


class Api:
    """Takes down what it is asked to do."""

    did: tuple = ()

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
        Api.did += ((name, private, exist_ok),)

    def upload_folder(self, repo_id: str, folder_path: str, commit_message: str) -> str:
        Api.did += ((repo_id, below(Path(folder_path))),)
        return f"address of {repo_id}"


def test_pushing_makes_a_repository_and_uploads_three_files(model, monkeypatch):
    monkeypatch.setattr(hub, "HfApi", Api)
    assert push_to_hub(model, "me/smile", private=True) == "address of me/smile"
    assert Api.did == (("me/smile", True, True), ("me/smile", FILES))


def test_only_three_files_are_fetched(model, monkeypatch):
    asked = {}

    def fetch(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.update(name=name, revision=revision, files=set(allow_patterns))
        return str(model)

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    assert from_pretrained("me/smile", "v1").domains == ("neutral", "happy")
    assert asked == {"name": "me/smile", "revision": "v1", "files": FILES}


def test_what_the_hub_refuses_is_one_sentence(model, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="cannot fetch nobody/nothing: "):
        from_pretrained("nobody/nothing")
    with pytest.raises(UserError, match="cannot fetch no repository at all: "):
        from_pretrained("no repository at all")
    with pytest.raises(UserError, match="cannot upload to nobody/nothing: "):
        push_to_hub(model, "nobody/nothing")
