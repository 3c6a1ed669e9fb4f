"""Models are uploaded to the Hub and downloaded again, without a network."""

import json
from pathlib import Path

import pytest
import yaml
from cli_helpers import files_below, noise, save_small_model

from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.inference.hub import card, from_pretrained, push_to_hub, save_pretrained
from aggan.inference.translator import load
from aggan.methods.pretrained import WEIGHTS
from aggan.metric_table import RESULTS_VERSION
from aggan.training.config import TrainingConfig
from aggan.training.experiment import Experiment

hub = pytest.importorskip("huggingface_hub")
FILES = {"model.safetensors", "config.json", "README.md"}
ROW = {"images": 7, "classified": 0.5, "psnr": None, "intervals": {"classified": [0.25, 0.75]}}
RESULTS = {
    "version": RESULTS_VERSION,
    "to": "happy",
    "expression": "happy",
    "size": 32,
    "rows": {"translation": ROW, "identity_baseline": ROW | {"classified": 0.0, "intervals": {}}},
}
OLD_ROW = {"pictures": 7, "judged": 0.5, "psnr": None, "intervals": {"judged": [0.25, 0.75]}}
OLD_RESULTS = RESULTS | {"version": 2, "rows": {"translation": OLD_ROW}}


@pytest.fixture
def run(tmp_path, small) -> Path:
    save_small_model(tmp_path / "run" / "last", small)
    training = TrainingConfig(batch=3, ema=0.9)
    Experiment(method=small, data=DataConfig(root=tmp_path), training=training).save(tmp_path / "run")
    (tmp_path / "run" / "results.json").write_text(json.dumps(RESULTS))
    return tmp_path / "run"


def test_a_saved_model_is_loaded_unchanged(tmp_path, run):
    save_pretrained(run, tmp_path / "copy")
    assert files_below(tmp_path / "copy") == FILES
    assert (tmp_path / "copy" / WEIGHTS).read_bytes() == (run / "last" / WEIGHTS).read_bytes()
    image = noise(20, 30)
    translated, expected = from_pretrained(tmp_path / "copy")(image, "happy"), load(run)(image, "happy")
    assert translated.image.tobytes() == expected.image.tobytes()


def test_an_existing_readme_stays(tmp_path, run, monkeypatch):
    (tmp_path / "smile").mkdir()
    monkeypatch.chdir(tmp_path / "smile")
    Path("README.md").write_text("my own")
    save_pretrained(run, Path())
    assert Path("README.md").read_text() == "my own"
    Path("README.md").unlink()
    save_pretrained(run, Path())
    assert "# smile\n" in Path("README.md").read_text()


def test_the_card_describes_the_model_its_training_and_its_results(run, tmp_path):
    text = card(run, "me/smile", license="cc0-1.0")
    front_matter = yaml.safe_load(text.split("---")[1])
    assert front_matter["library_name"] == "aggan"
    assert (front_matter["license"], front_matter["pipeline_tag"]) == ("cc0-1.0", "image-to-image")
    for expected in (
        "# me/smile",
        'from_pretrained("me/smile")',
        'translator(image, to="happy")',
        "| image size | 32 x 32 px |",
        "| batch size (images of each domain) | 3 |",
        "| EMA of the weights | 0.9 |",
        "7 test images at 32 px, translated to happy",
        "| | translation | identity baseline (copy of the input) |\n|---|---|---|\n",
        "| classified as happy, % | 50.0 (25.0 to 75.0) | 0.0 |\n",
        "| PSNR, dB | - | - |\n",
        '"generator_width": 4',
    ):
        assert expected in text
    assert str(tmp_path) not in text


def test_the_card_reads_results_of_older_versions(model, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(OLD_RESULTS))
    text = card(model, "smile", tmp_path / "results.json")
    assert "7 test images at 32 px" in text
    assert "| classified as happy, % | 50.0 (25.0 to 75.0) |" in text


def test_a_card_without_results_says_so_and_names_no_licence_by_itself(model):
    text = card(model, "smile")
    assert "Its translations have not been measured." in text
    assert "license" not in text.split("---")[1]
    assert "optimizer" not in text


@pytest.mark.parametrize("content", ["{}", "[]", "", '{"rows": {}}'])
def test_other_files_are_refused_as_results(model, tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError, match=r"results\.json: not written by aggan evaluate"):
        card(model, "smile", tmp_path / "results.json")


class Api:
    """Records its calls."""

    calls: tuple = ()

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
        Api.calls += ((name, private, exist_ok),)

    def upload_folder(self, repo_id: str, folder_path: str, commit_message: str) -> str:
        Api.calls += ((repo_id, files_below(Path(folder_path))),)
        return f"URL of {repo_id}"


def test_pushing_creates_a_repository_and_uploads_three_files(model, monkeypatch):
    monkeypatch.setattr(hub, "HfApi", Api)
    assert push_to_hub(model, "me/smile", private=True) == "URL of me/smile"
    assert Api.calls == (("me/smile", True, True), ("me/smile", FILES))


def test_only_three_files_are_downloaded(model, monkeypatch):
    request = {}

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        request.update(name=name, revision=revision, files=set(allow_patterns))
        return str(model)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert from_pretrained("me/smile", "v1").domains == ("neutral", "happy")
    assert request == {"name": "me/smile", "revision": "v1", "files": FILES}


def test_an_error_of_the_hub_is_one_sentence(model, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="cannot download nobody/nothing: "):
        from_pretrained("nobody/nothing")
    with pytest.raises(UserError, match="cannot download no repository at all: "):
        from_pretrained("no repository at all")
    with pytest.raises(UserError, match="cannot upload to nobody/nothing: "):
        push_to_hub(model, "nobody/nothing")
