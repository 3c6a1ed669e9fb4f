"""`aggan study` on the command line: from folders to results, and every mistake reported in one sentence."""

import csv
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from unicodedata import normalize

import pytest
from cli_helpers import error_line
from studies import METHODS, TRIALS, convert_to_version_1, small_study, write_images

from aggan.cli.main import run
from aggan.comparison.rows import read_study
from aggan.errors import UserError
from aggan.study.client import RequestRefusedError, StudyClient
from aggan.study.database import AnswerDatabase, Identity, database_url
from aggan.study.design import Kind, Side, participant_trials
from aggan.study.participation import load_participations
from aggan.study.plan import Settings, read_plan
from aggan.study.simulate import server_process


@pytest.fixture
def study(tmp_path) -> Path:
    return small_study(tmp_path)


def add_participants(study: Path, count: int, fooled_by: str) -> None:
    """Fill the study's own database: one method fools everybody, and the last participant misses both checks.

    One more participant joins and does not answer.
    """
    plan = read_plan(study)
    with closing(AnswerDatabase(database_url(study, None), plan.study)) as database:
        for number in range(count):
            identity = Identity("prolific", f"p{number}", "s")
            database.join(secrets.token_urlsafe(32), identity, forbid_repeats=False)
            careless = number == count - 1
            for index, trial in enumerate(participant_trials(plan, number)):
                fooled = trial.method == fooled_by if trial.kind is not Kind.CHECK else careless
                chosen = next(side for side in Side if (side == trial.real_side) != fooled)
                database.add_answer(number, index, chosen, 700)
        database.join(secrets.token_urlsafe(32), Identity(), forbid_repeats=False)


def test_create_makes_a_study_from_folders(tmp_path, capsys):
    real, good, bad = (str(write_images(tmp_path / name, range(30), 9)) for name in ("real", "good", "bad"))
    out = tmp_path / "study"
    assert (
        run(["study", "create", "--real", real, "--fake", f"good={good}", "--fake", f"bad={bad}", "--out", str(out)])
        == 0
    )
    output = capsys.readouterr().out
    assert "30 pairs, 30 with the matching real image, 16 px, seed " in output
    assert "6 practice trials, 20 main trials (10 per method) and 4 attention checks" in output
    plan = read_plan(out)
    assert plan.methods == ("good", "bad")
    assert plan.settings.exposure == 1


def test_the_default_seed_is_random_so_that_nobody_can_guess_the_sides(tmp_path):
    real = str(write_images(tmp_path / "real", range(20), 9))
    for name in ("a", "b"):
        run(["study", "create", "--real", real, "--fake", f"x={real}", "--out", str(tmp_path / name)])
    a, b = (read_plan(tmp_path / name).seed for name in ("a", "b"))
    assert a != b
    assert a.bit_length() > 96  # too many to try them all


def test_consent_and_settings_can_be_chosen(tmp_path):
    real = str(write_images(tmp_path / "real", range(20), 9))
    (tmp_path / "consent.txt").write_text("One\nparagraph.\n\nAnother.\n")
    options = ["--consent", str(tmp_path / "consent.txt"), "--exposure", "0", "--forbid-repeats", "--title", "Faces"]
    run(["study", "create", "--real", real, "--fake", f"x={real}", "--out", str(tmp_path / "study"), *options])
    settings = read_plan(tmp_path / "study").settings
    assert settings == Settings(title="Faces", consent=("One paragraph.", "Another."), exposure=0, forbid_repeats=True)


def test_create_names_what_it_leaves_out(tmp_path, capsys):
    real, good, bad = (write_images(tmp_path / name, range(9), 9) for name in ("real", "good", "bad"))
    shutil.copy(good / "00.png", good / "00.mask.png")
    shutil.copy(good / "00.png", good / "00.content.png")
    (bad / "03.png").unlink()
    fakes = ["--fake", f"good={good}", "--fake", f"bad={bad}"]
    assert run(["study", "create", "--real", str(real), *fakes, "--out", str(tmp_path / "study")]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"left out 2 (masks and contents of translations): {good}/00.content.png, {good}/00.mask.png",
        "left out 1 (not translated by every method): 03",
    ]
    plan = read_plan(tmp_path / "study")
    assert len(plan.pairs) + len(plan.practice) + len(plan.checks) == 8


def test_images_of_another_study_are_never_images_of_this_one(tmp_path, capsys):
    real = write_images(tmp_path / "real", range(9), 9)
    command = ["study", "create", "--real", str(real), "--fake", f"x={real}", "--seed", "1", "--out"]
    assert run([*command, str(tmp_path / "first")]) == 0
    shutil.move(tmp_path / "first", real / "first")
    capsys.readouterr()
    assert run([*command, str(tmp_path / "second")]) == 0
    output = capsys.readouterr()
    assert f"{tmp_path}/second: 9 pairs, 9 with the matching real image" in output.out
    assert f"left out 1 (studies or comparisons): {real}/first" in output.err


def test_one_letter_in_two_encodings_is_one_name(tmp_path, capsys):
    composed, decomposed = normalize("NFC", "José"), normalize("NFD", "José")
    for folder, name in (("real", decomposed), ("good", composed), ("bad", decomposed)):
        for file in write_images(tmp_path / folder, range(6), 9).iterdir():
            file.rename(file.with_name(f"{name}-{file.name}"))
    fakes = ["--fake", f"good={tmp_path}/good", f"bad={tmp_path}/bad"]
    assert run(["study", "create", "--real", f"{tmp_path}/real", *fakes, "--out", str(tmp_path / "study")]) == 0
    assert "6 pairs, 6 with the matching real image" in capsys.readouterr().out


def test_names_that_are_not_utf8_make_a_study_and_its_tables(tmp_path):
    strange = os.fsdecode(b"Jos\xe9")
    real = write_images(tmp_path / "real", range(16), 9)
    for file in real.iterdir():
        file.rename(file.with_name(f"{strange}-{file.name}"))
    study = tmp_path / strange
    assert run(["study", "create", "--real", str(real), "--fake", f"{strange}={real}", "--out", str(study)]) == 0
    add_participants(study, 2, fooled_by="Jos\\xe9")
    assert run(["study", "results", str(study), "--json", "--csv", "--participants"]) == 0
    rows = list(csv.DictReader((study / "answers.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["method"] for row in rows} == {"Jos\\xe9", ""}
    assert all(row["pair"].startswith("Jos\\xe9-") for row in rows)
    assert list(json.loads((study / "study.json").read_text(encoding="utf-8"))["methods"]) == ["Jos\\xe9"]


def test_a_study_of_one_identical_pair_divides_by_nothing(tmp_path, capsys):
    real = str(write_images(tmp_path / "real", range(1), 9))
    options = ["--real", real, "--out", str(tmp_path / "study")]
    assert run(["study", "create", *options, "--fake", f"a={real}"]) == 0
    assert "1 pair, 1 with" in capsys.readouterr().out
    add_participants(tmp_path / "study", 1, fooled_by="a")
    assert run(["study", "results", str(tmp_path / "study"), "--json"]) == 0
    assert json.loads((tmp_path / "study" / "study.json").read_text())["methods"]["a"]["fooled"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fake", "good"], "--fake good: expected NAME=VALUE"),
        (["--fake", "a=REAL", "a=REAL"], "--fake a=REAL: a is given twice"),
        (["--fake", "a=/no/such/folder"], "/no/such/folder: no such folder"),
        (["--fake", "a=REAL", "--trials", "0"], "--trials 0: must be at least 1"),
        (["--fake", "a=REAL", "--trials", "99"], "but 99 are needed: add images or lower --trials"),
        (["--fake", "a=REAL", "--max-missed-checks", "-1"], "--max-missed-checks -1: must be at least 0"),
        (["--fake", "a=REAL", "--exposure", "-1"], "--exposure -1.0: must be at least 0"),
        (
            ["--fake", "a=REAL", "--completion-url", "http://x"],
            "--completion-url http://x: must begin with https://",
        ),
        (
            ["--fake", "a=REAL", "--completion-url", "https://"],
            "--completion-url https://: must begin with https:// and",
        ),
        (
            ["--fake", "a=REAL", "--completion-url", "https://a b"],
            "--completion-url https://a b: must begin with https:// and",
        ),
        (["--fake", "a=REAL", "--exposure", "nan"], "--exposure nan: must be a finite number of seconds"),
        (["--fake", "a=REAL", "--exposure", "inf"], "--exposure inf: must be a finite number of seconds"),
        (["--fake", "a=REAL", "--title", "a\nb"], "--title: must be a single line"),
        (["--fake", "a=REAL", "--consent", "/no/such/file"], "--consent /no/such/file: cannot be read: No such file"),
        (["--fake", "a=REAL", "--title", " "], "--title: must not be empty"),
        (["--fake", "a=REAL", "--out", "REAL"], "REAL already exists: choose another --out"),
    ],
)
def test_mistakes_in_create_are_one_sentence(tmp_path, capsys, options, message):
    real = str(write_images(tmp_path / "real", range(20), 9))
    options = [option.replace("REAL", real) for option in options]
    out = [] if "--out" in options else ["--out", str(tmp_path / "study")]
    assert run(["study", "create", "--real", real, *out, *options]) == 2
    error = capsys.readouterr().err
    assert message.replace("REAL", real) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["watch"], "unknown action 'watch'; choose from create, serve, results, simulate, power"),
        (["serve", "/no/such"], "/no/such: no study here; create one with: aggan study create --out /no/such"),
        (["results", "/no/such"], "/no/such: no study here"),
        (["serve", "STUDY", "--https-cert", "a.pem"], "--https-cert and --https-key must be given together"),
        (
            ["serve", "STUDY", "--https-cert", "a.pem", "--https-key", "b.pem"],
            "a.pem and b.pem are not a certificate and its key",
        ),
        (
            ["serve", "STUDY", "--rate-limit-factor", "0.09"],
            "--rate-limit-factor 0.09: must be a finite number of at least 0.1",
        ),
        (
            ["serve", "STUDY", "--rate-limit-factor", "inf"],
            "--rate-limit-factor inf: must be a finite number of at least 0.1",
        ),
        (["serve", "STUDY", "--port", "99999"], "--port 99999: must be 0 to 65535"),
        (["serve", "STUDY", "--host", "nowhere.invalid"], "cannot listen on http://nowhere.invalid:8000"),
        (["simulate", "STUDY", "--rates", "good=0.5"], "--rates: give one rate for each of good, bad"),
        (["simulate", "STUDY", "--rates", "good=0.5", "bad=2"], "--rates bad 2: must be a number from 0 to 1"),
        (
            ["simulate", "STUDY", "--rates", "good=0.5", "bad=1", "--participants", "0"],
            "--participants 0: must be at least 1",
        ),
        (["power", "--rates", "0.3", "0.3"], "--rates 0.3 0.3: must be two different rates from 0 to 1"),
        (["power", "--rates", "0.3", "0.4", "--power", "1"], "--power 1.0: must be at least 0.5 and less than 1"),
        (["power", "--rates", "0.3", "0.4", "--std", "nan"], "--std nan: must be 0 to 1"),
        (["power", "--rates", "0.3", "0.4", "--std", "inf"], "--std inf: must be 0 to 1"),
        (["power", "--rates", "0.3", "0.4", "--trials", "1001"], "--trials 1001: must be 1 to 1000"),
        (["power", "--rates", "0.3", "0.4", "--methods", "33"], "--methods 33: must be 2 to 32"),
        (["results", "STUDY", "--database", "postgresql://u@h:x/n"], "--database: invalid URL"),
    ],
)
def test_mistakes_in_the_other_actions_are_one_sentence(study, capsys, argv, message):
    assert run(["study", *(str(study) if word == "STUDY" else word for word in argv)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


@pytest.mark.parametrize("damage", ["the folder", "one image"])
@pytest.mark.parametrize("action", ["serve", "simulate"])
def test_a_study_whose_images_are_missing_is_refused_at_once(study, capsys, action, damage):
    if damage == "the folder":
        shutil.rmtree(study / "images")
    else:
        (study / "images" / "00003.png").unlink()
    options = ["--rates", *(f"{method}=0" for method in METHODS)] if action == "simulate" else []
    error = error_line(capsys, run(["study", action, str(study), *options]))
    count, first = ("46", "00002.png") if damage == "the folder" else ("1", "00003.png")
    assert f"{study}/images: {count} of the study's 46 images are missing, for example {first}" in error
    assert not (study / "answers.sqlite").exists()
    assert run(["study", "results", str(study)]) == 0


@pytest.mark.parametrize("action", ["serve", "simulate", "results"])
def test_a_study_that_nobody_can_take_is_refused_at_once(study, capsys, action):
    plan = json.loads((study / "plan.json").read_text())
    (study / "plan.json").write_text(json.dumps(plan | {"trials": 1}))
    options = ["--rates", *(f"{method}=0" for method in METHODS)] if action == "simulate" else []
    assert run(["study", action, str(study), *options]) == 2
    assert "more attention checks than trials, so nobody can take part; create" in capsys.readouterr().err
    assert not (study / "answers.sqlite").exists()


def test_a_damaged_plan_is_reported_in_one_sentence(study, capsys):
    (study / "plan.json").write_text("{}")
    assert run(["study", "results", str(study)]) == 2
    assert "plan.json: damaged or of an unknown version: study: Field required" in capsys.readouterr().err


def test_a_study_of_a_newer_version_is_refused_in_one_sentence(study, capsys):
    plan = json.loads((study / "plan.json").read_text())
    (study / "plan.json").write_text(json.dumps(plan | {"version": 9}))
    error = error_line(capsys, run(["study", "results", str(study)]))
    assert error == f"aggan study: {study}/plan.json: written by a newer aggan (version 9): update aggan\n"


def test_results_say_who_is_counted_and_who_is_not(study, capsys):
    add_participants(study, 6, fooled_by="good")
    assert run(["study", "results", str(study), "--json", "--csv", "--participants"]) == 0
    output = capsys.readouterr().out
    assert "5 of 7 participants counted; 1 did not finish, 1 missed more than 1 of 2 attention checks." in output
    results = json.loads((study / "study.json").read_text())
    assert results["version"] == 2
    assert results["methods"]["good"]["fooled"] == 1
    assert results["methods"]["good"]["interval"] == [pytest.approx(0.7225, abs=1e-4), 1]
    assert results["methods"]["bad"] | {"interval": 0, "wilson_interval": 0} == {
        "fooled": 0, "interval": 0, "wilson_interval": 0, "answers": 10, "participants": 5,
    }  # fmt: skip
    assert results["pairwise"] == [{"methods": ["good", "bad"], "difference": 1, "p": 2 / 32, "p_holm": 2 / 32}]
    assert results["participants"] == {
        "joined": 7, "unfinished": 1, "inattentive": 1, "max_missed_checks": 1, "checks": 2, "counted": 5,
    }  # fmt: skip


def test_a_study_of_version_1_is_evaluated_as_before(study):
    add_participants(study, 4, fooled_by="good")
    run(["study", "results", str(study), "--json", "--csv"])
    expected = [(study / name).read_text() for name in ("study.json", "answers.csv")]
    convert_to_version_1(study)
    run(["study", "results", str(study), "--json", "--csv"])
    assert [(study / name).read_text() for name in ("study.json", "answers.csv")] == expected


def test_reports_read_results_of_both_versions(study):
    add_participants(study, 4, fooled_by="good")
    run(["study", "results", str(study), "--json"])
    expected = read_study(study / "study.json")
    assert expected.keys() == set(METHODS)
    results = json.loads((study / "study.json").read_text())
    results["systems"] = results.pop("methods")
    (study / "study.json").write_text(json.dumps(results | {"version": 1}))
    assert read_study(study / "study.json") == expected


def test_answers_are_published_without_the_participants_identity(study):
    add_participants(study, 3, fooled_by="bad")
    run(["study", "results", str(study), "--csv", "--participants"])
    text = (study / "answers.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 3 * TRIALS
    assert {row["kind"] for row in rows} == {"practice", "check", "main"}
    assert all((row["fooled"] == "True") == (row["chosen"] != row["real"]) for row in rows)
    assert "prolific" not in text
    rows = csv.DictReader((study / "participants.csv").read_text().splitlines())
    assert [(row["person"], row["answered"], row["missed_checks"], row["counted"]) for row in rows] == [
        ("p0", "8", "0", "True"), ("p1", "8", "0", "True"), ("p2", "8", "2", "False"),
    ]  # fmt: skip


def test_answers_stay_in_the_studys_folder_whatever_its_name(tmp_path):
    (tmp_path / "which?").mkdir()
    study = small_study(tmp_path / "which?")
    add_participants(study, 1, fooled_by="good")
    assert (study / "answers.sqlite").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"which?"}


def test_names_of_methods_are_printed_literally(tmp_path, capsys):
    real = str(write_images(tmp_path / "real", range(16), 9))
    fakes = [f"{method}={real}" for method in ("a[/x]", "[b]")]
    run(["study", "create", "--real", real, "--fake", *fakes, "--out", str(tmp_path / "study")])
    add_participants(tmp_path / "study", 2, fooled_by="[b]")
    capsys.readouterr()
    assert run(["study", "results", str(tmp_path / "study")]) == 0
    output = capsys.readouterr().out
    assert "a[/x] - [b]" in output
    assert output.count("a[/x]") == output.count("[b]") == 2


def test_results_without_answers_are_empty(study, capsys):
    assert run(["study", "results", str(study), "--json"]) == 0
    assert "0 of 0 participants counted" in capsys.readouterr().out
    assert json.loads((study / "study.json").read_text())["methods"]["good"]["fooled"] is None


def test_power_prints_a_number_of_participants(capsys):
    assert run(["study", "power", "--rates", "0.4", "0.3"]) == 0
    assert capsys.readouterr().out.startswith("29 participants with 20 trials per method")


@pytest.mark.slow
def test_a_simulation_measures_the_simulated_rates_and_leaves_the_study_alone(study, capsys):
    rates = [f"{method}={rate}" for method, rate in zip(METHODS, ("1", "0"), strict=True)]
    assert run(["study", "simulate", str(study), "--rates", *rates, "--participants", "6"]) == 0
    output = capsys.readouterr().out
    assert "6 of 6 participants counted" in output
    assert "100.0%" in output
    assert "+100.0%" in output
    assert not (study / "answers.sqlite").exists()


@pytest.mark.slow
def test_acknowledged_answers_survive_kill_9(study):
    """Four participants answer without pause; the server is killed at some moment, three times."""
    plan, acknowledged = read_plan(study), {}
    lock = threading.Lock()

    def take_part(url: str) -> None:
        with suppress(OSError, HTTPException, RequestRefusedError):
            for _ in range(100):
                with closing(StudyClient(url)) as client:
                    client.join()
                    for index in range(TRIALS):
                        client.answer(index, Side.LEFT)
                        with lock:
                            acknowledged[client.token] = index + 1

    for _ in range(3):
        before = len(acknowledged)
        with server_process(study, stderr=subprocess.PIPE) as (process, url):
            threads = [threading.Thread(target=take_part, args=(url,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            while len(acknowledged) < before + 5:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            for thread in threads:
                thread.join()
    with closing(AnswerDatabase(database_url(study, None), plan.study)) as database:
        stored = {token: database.find(token) for token in acknowledged}
        participations = load_participations(plan, database)
    assert all(
        progress and acknowledged[token] <= progress.answered <= acknowledged[token] + 1
        for token, progress in stored.items()
    )
    assert all(participation.answers for participation in participations if participation.finished)


@pytest.mark.slow
def test_a_public_address_without_https_warns(study):
    with server_process(study, "--host", "0.0.0.0", stderr=subprocess.PIPE) as (process, _):
        process.terminate()
        _, error = process.communicate()
    assert error.startswith("warning: other machines can reach 0.0.0.0, and without HTTPS")


@pytest.mark.slow
def test_with_a_certificate_the_study_is_served_over_https_only(study, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    options = ("--host", "0.0.0.0", "--https-cert", str(cert), "--https-key", str(key))
    with server_process(study, *options, stderr=subprocess.PIPE) as (process, url):
        context = ssl.create_default_context(cafile=str(cert))
        port = url.rsplit(":", 1)[1]
        with urllib.request.urlopen(f"https://localhost:{port}/", context=context) as reply:
            assert reply.headers["strict-transport-security"]
        with pytest.raises(OSError, match=r"disconnect|reset|Remote end"):
            urllib.request.urlopen(f"http://localhost:{port}/")
        process.terminate()
        assert "warning" not in process.communicate()[1]


@pytest.mark.parametrize("action", [None, "create", "serve", "results", "simulate", "power"])
def test_help_imports_nothing_heavy(action):
    argv = ["study", *([action] if action else []), "--help"]
    program = f"""
import sys
from contextlib import suppress
from aggan.cli.main import run
with suppress(SystemExit):
    run({argv})
print(*sys.modules)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "usage: aggan study" in process.stdout
    modules = set(process.stdout.splitlines()[-1].split())
    assert not modules & {"fastapi", "sqlmodel", "sqlalchemy", "uvicorn", "torch", "numpy", "pydantic"}


def test_without_its_extra_the_study_says_what_to_install(study):
    program = f"""
import sys
sys.modules["sqlmodel"] = None
from aggan.cli.main import run
sys.exit(run(["study", "results", {str(study)!r}]))
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    message = "aggan study: results needs sqlmodel, which is not installed: run pip install '.[study]'"
    assert process.returncode == 2
    assert process.stderr.startswith(message)
    assert process.stderr.count("\n") == 1


def test_results_of_a_study_on_a_disk_that_cannot_be_written_are_shown(study, monkeypatch, capsys):
    plan = read_plan(study)
    add_participants(study, 3, METHODS[0])
    assert run(["study", "results", str(study)]) == 0
    expected = capsys.readouterr().out
    assert "of 4 participants" in expected
    # The server that still runs has these answers in the database's log.
    with closing(AnswerDatabase(database_url(study, None), plan.study)) as database:
        database.join(secrets.token_urlsafe(32), Identity(), forbid_repeats=False)
        before = {path.name: path.read_bytes() for path in study.iterdir() if path.is_file()}
        monkeypatch.setattr("aggan.study.database.is_writable", lambda _: False)
        monkeypatch.setattr("aggan.cli.study_results.require_output_file", refuse_output)
        assert run(["study", "results", str(study)]) == 0
        assert {path.name: path.read_bytes() for path in study.iterdir() if path.is_file()} == before
    assert "of 5 participants" in capsys.readouterr().out
    assert run(["study", "results", str(study), "--json"]) == 2


def refuse_output(path: Path, option: str) -> None:
    raise UserError(f"{option}: nothing can be written to {path.parent} (Read-only file system)")
