"""`aggan study` as one types it: from folders to results, and every mistake in one sentence."""

import csv
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest
from studies import PAIRS, SYSTEMS, draw_pictures, small_study

from aggan.cli.main import run
from aggan.study.answerer import Refusal, Visitor
from aggan.study.answers import participations
from aggan.study.design import Kind, Side, trials
from aggan.study.plan import Settings, read_plan
from aggan.study.serving import database_of
from aggan.study.simulate import address
from aggan.study.store import Store


@pytest.fixture
def study(tmp_path) -> Path:
    return small_study(tmp_path)


@contextmanager
def served(study: Path, *options: str):
    """`aggan study serve` as a process; gives it and its address."""
    command = [sys.executable, "-m", "aggan", "study", "serve", str(study), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, address(process)
        finally:
            process.kill()


def answered(study: Path, people: int, fooled_by: str) -> None:
    """Fill the study's own database: all are fooled by one system, and the last of them misses both checks."""
    plan = read_plan(study)
    store = Store(database_of(study, None), plan.study)
    from aggan.study.store import Identity

    for number in range(people):
        store.join(secrets.token_urlsafe(32), Identity("prolific", f"p{number}", "s"), once=False)
        careless = number == people - 1
        for index, trial in enumerate(trials(plan, number)):
            wrong = trial.system == fooled_by if trial.kind is not Kind.CHECK else careless
            store.answer(number, index, next(side for side in Side if (side == trial.real) != wrong), 700)
    store.join(secrets.token_urlsafe(32), Identity(), once=False)
    store.close()


def test_folders_become_a_study(tmp_path, capsys):
    real, good, bad = (str(draw_pictures(tmp_path / name, range(30), 9)) for name in ("real", "good", "bad"))
    out = tmp_path / "study"
    assert (
        run(["study", "create", "--real", real, "--fake", f"good={good}", "--fake", f"bad={bad}", "--out", str(out)])
        == 0
    )
    told = capsys.readouterr().out
    assert "30 people, 30 beside their own real picture, at 16 px, seed " in told
    assert "6 pairs for practice, 10 of each of 2 systems, 4 checks" in told
    plan = read_plan(out)
    assert plan.systems == ("good", "bad")
    assert plan.settings.exposure == 1


def test_a_seed_is_drawn_where_none_is_given_so_that_nobody_can_guess_the_sides(tmp_path):
    real = str(draw_pictures(tmp_path / "real", range(20), 9))
    for name in ("a", "b"):
        run(["study", "create", "--real", real, "--fake", f"x={real}", "--out", str(tmp_path / name)])
    a, b = (read_plan(tmp_path / name).seed for name in ("a", "b"))
    assert a != b
    assert a.bit_length() > 96  # so many that nobody tries them all


def test_consent_is_whoever_runs_its_own(tmp_path):
    real = str(draw_pictures(tmp_path / "real", range(20), 9))
    (tmp_path / "consent.txt").write_text("One\nparagraph.\n\nAnother.\n")
    given = ["--consent", str(tmp_path / "consent.txt"), "--exposure", "0", "--once", "--title", "Faces"]
    run(["study", "create", "--real", real, "--fake", f"x={real}", "--out", str(tmp_path / "study"), *given])
    settings = read_plan(tmp_path / "study").settings
    assert settings == Settings(title="Faces", consent=("One paragraph.", "Another."), exposure=0, once=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fake", "good"], "--fake good: it should be NAME=VALUE"),
        (["--fake", "a=REAL", "a=REAL"], "--fake a=REAL: a is there twice"),
        (["--fake", "a=/no/such/folder"], "/no/such/folder: no such folder"),
        (["--fake", "a=REAL", "--trials", "0"], "--trials 0: it should be at least 1"),
        (["--fake", "a=REAL", "--trials", "99"], "fewer than 99: add pictures, or lower --trials"),
        (["--fake", "a=REAL", "--exposure", "-1"], "--exposure -1.0: it should be at least 0"),
        (
            ["--fake", "a=REAL", "--completion", "http://x"],
            "--completion http://x: it should begin with https://",
        ),
        (["--fake", "a=REAL", "--completion", "https://"], "--completion https://: it should begin with https:// and"),
        (
            ["--fake", "a=REAL", "--completion", "https://a b"],
            "--completion https://a b: it should begin with https:// and",
        ),
        (["--fake", "a=REAL", "--exposure", "nan"], "--exposure nan: it should be a number of seconds"),
        (["--fake", "a=REAL", "--exposure", "inf"], "--exposure inf: it should be a number of seconds"),
        (["--fake", "a=REAL", "--title", "a\nb"], "--title: it should be a single line"),
        (["--fake", "a=REAL", "--consent", "/no/such/file"], "--consent /no/such/file: cannot be read: No such file"),
        (["--fake", "a=REAL", "--title", " "], "--title: it is empty"),
        (["--fake", "a=REAL", "--out", "REAL"], "REAL exists already: choose another --out"),
    ],
)
def test_mistakes_in_creating_are_one_sentence(tmp_path, capsys, options, told):
    real = str(draw_pictures(tmp_path / "real", range(20), 9))
    given = [option.replace("REAL", real) for option in options]
    arguments = ["--real", real, *([] if "--out" in given else ["--out", str(tmp_path / "study")]), *given]
    assert run(["study", "create", *arguments]) == 2
    error = capsys.readouterr().err
    assert told.replace("REAL", real) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["watch"], "no action 'watch'; there are create, serve, results, simulate, power"),
        (["serve", "/no/such"], "/no/such: no study here; make one with: aggan study create --out /no/such"),
        (["results", "/no/such"], "/no/such: no study here"),
        (["serve", "STUDY", "--https-cert", "a.pem"], "--https-cert and --https-key belong together"),
        (
            ["serve", "STUDY", "--https-cert", "a.pem", "--https-key", "b.pem"],
            "a.pem and b.pem: no certificate with its key",
        ),
        (["serve", "STUDY", "--rate", "0.09"], "--rate 0.09: it should be a number of at least 0.1"),
        (["serve", "STUDY", "--rate", "inf"], "--rate inf: it should be a number of at least 0.1"),
        (["serve", "STUDY", "--port", "99999"], "--port 99999: it should be 0 to 65535"),
        (["serve", "STUDY", "--host", "nowhere.invalid"], "cannot listen at nowhere.invalid:8000"),
        (["simulate", "STUDY", "--rates", "good=0.5"], "--rates: give one for each of good, bad"),
        (["simulate", "STUDY", "--rates", "good=0.5", "bad=2"], "--rates bad 2: it should be a share from 0 to 1"),
        (
            ["simulate", "STUDY", "--rates", "good=0.5", "bad=1", "--participants", "0"],
            "--participants 0: it should be",
        ),
        (["power", "--rates", "0.3", "0.3"], "--rates 0.3 0.3: two different shares from 0 to 1 are needed"),
        (["power", "--rates", "0.3", "0.4", "--power", "1"], "--power 0.5 to below 1"),
        (["power", "--rates", "0.3", "0.4", "--spread", "nan"], "--spread 0 to 1"),
        (["power", "--rates", "0.3", "0.4", "--spread", "inf"], "--spread 0 to 1"),
        (["power", "--rates", "0.3", "0.4", "--trials", "1001"], "--trials needs 1 to 1000"),
        (["power", "--rates", "0.3", "0.4", "--systems", "33"], "--systems 2 to 32"),
        (["results", "STUDY", "--database", "postgresql://u@h:x/n"], "--database: the address cannot be read"),
    ],
)
def test_mistakes_in_the_other_actions_are_one_sentence(study, capsys, arguments, told):
    assert run(["study", *(str(study) if one == "STUDY" else one for one in arguments)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert told in error


@pytest.mark.parametrize("action", ["serve", "simulate", "results"])
def test_a_study_that_nobody_can_take_is_refused_before_anybody_comes(study, capsys, action):
    plan = json.loads((study / "plan.json").read_text())
    (study / "plan.json").write_text(json.dumps(plan | {"trials": 1}))
    given = ["--rates", *(f"{name}=0" for name in SYSTEMS)] if action == "simulate" else []
    assert run(["study", action, str(study), *given]) == 2
    assert "more checks than pairs that count, so nobody can take part; create" in capsys.readouterr().err
    assert not (study / "answers.sqlite").exists()


def test_a_plan_that_was_damaged_is_one_sentence(study, capsys):
    (study / "plan.json").write_text("{}")
    assert run(["study", "results", str(study)]) == 2
    assert "plan.json: damaged, or of another version: study: Field required" in capsys.readouterr().err


def test_results_count_whom_they_should_and_say_whom_not(study, capsys):
    answered(study, 6, fooled_by="good")
    assert run(["study", "results", str(study), "--json", "--csv", "--people"]) == 0
    told = capsys.readouterr().out
    assert "5 of 7 participants counted; 1 did not finish, 1 missed more than 1 of 2 attention checks." in told
    made = json.loads((study / "study.json").read_text())
    assert made["version"] == 1
    assert made["systems"]["good"]["fooled"] == 1
    assert made["systems"]["good"]["interval"] == [pytest.approx(0.7225, abs=1e-4), 1]
    assert made["systems"]["bad"] | {"interval": 0, "wilson": 0} == {
        "fooled": 0, "interval": 0, "wilson": 0, "answers": 10, "participants": 5,
    }  # fmt: skip
    assert made["pairwise"] == [{"systems": ["good", "bad"], "difference": 1, "p": 2 / 32, "p_holm": 2 / 32}]
    assert made["participants"] == {
        "joined": 7, "unfinished": 1, "inattentive": 1, "allowed_misses": 1, "checks": 2, "counted": 5,
    }  # fmt: skip


def test_raw_answers_tell_everything_but_who_gave_them(study):
    answered(study, 3, fooled_by="bad")
    run(["study", "results", str(study), "--csv", "--people"])
    text = (study / "answers.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 3 * PAIRS
    assert {row["kind"] for row in rows} == {"practice", "check", "main"}
    assert all((row["fooled"] == "True") == (row["chosen"] != row["real"]) for row in rows)
    assert "prolific" not in text
    people = list(csv.DictReader((study / "people.csv").read_text().splitlines()))
    assert [(one["person"], one["answered"], one["missed"], one["counted"]) for one in people] == [
        ("p0", "8", "0", "True"), ("p1", "8", "0", "True"), ("p2", "8", "2", "False"),
    ]  # fmt: skip


def test_answers_stay_in_the_studys_folder_whatever_it_is_called(tmp_path):
    (tmp_path / "which?").mkdir()
    study = small_study(tmp_path / "which?")
    answered(study, 1, fooled_by="good")
    assert (study / "answers.sqlite").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"which?"}


def test_names_of_systems_are_shown_as_they_are(tmp_path, capsys):
    real = str(draw_pictures(tmp_path / "real", range(16), 9))
    fakes = [f"{name}={real}" for name in ("a[/x]", "[b]")]
    run(["study", "create", "--real", real, "--fake", *fakes, "--out", str(tmp_path / "study")])
    answered(tmp_path / "study", 2, fooled_by="[b]")
    capsys.readouterr()
    assert run(["study", "results", str(tmp_path / "study")]) == 0
    told = capsys.readouterr().out
    assert "a[/x] - [b]" in told
    assert told.count("a[/x]") == told.count("[b]") == 2


def test_results_without_answers_say_so(study, capsys):
    assert run(["study", "results", str(study), "--json"]) == 0
    assert "0 of 0 participants counted" in capsys.readouterr().out
    assert json.loads((study / "study.json").read_text())["systems"]["good"]["fooled"] is None


def test_power_names_a_number(capsys):
    assert run(["study", "power", "--rates", "0.4", "0.3"]) == 0
    assert capsys.readouterr().out.startswith("29 participants, 20 pairs of each system each")


@pytest.mark.slow
def test_a_simulation_finds_the_rates_that_it_was_given_and_leaves_the_study_alone(study, capsys):
    rates = [f"{name}={share}" for name, share in zip(SYSTEMS, ("1", "0"), strict=True)]
    assert run(["study", "simulate", str(study), "--rates", *rates, "--participants", "6"]) == 0
    told = capsys.readouterr().out
    assert "6 of 6 participants counted" in told
    assert "100.0%" in told
    assert "+100.0%" in told
    assert not (study / "answers.sqlite").exists()


@pytest.mark.slow
def test_what_was_told_to_be_stored_survives_kill_9(study):
    """Four participants answer without pause; the server is killed at some moment, three times."""
    plan, told = read_plan(study), {}
    lock = threading.Lock()

    def take_part(url: str) -> None:
        with suppress(OSError, HTTPException, Refusal):
            for _ in range(100):
                with closing(Visitor(url)) as visitor:
                    visitor.join()
                    for index in range(PAIRS):
                        visitor.answer(index, Side.LEFT)
                        with lock:
                            told[visitor.token] = index + 1

    for _ in range(3):
        before = len(told)
        with served(study) as (process, url):
            people = [threading.Thread(target=take_part, args=(url,)) for _ in range(4)]
            for person in people:
                person.start()
            while len(told) < before + 5:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            for person in people:
                person.join()
    store = Store(database_of(study, None), plan.study)
    stored = {token: store.find(token) for token in told}
    assert all(found and told[token] <= found[1] <= told[token] + 1 for token, found in stored.items())
    assert all(one.given for one in participations(plan, store) if one.finished)
    store.close()


@pytest.mark.slow
def test_a_public_address_without_https_warns(study):
    with served(study, "--host", "0.0.0.0") as (process, _):
        process.terminate()
        _, error = process.communicate()
    assert error.startswith("warning: 0.0.0.0 can be reached from elsewhere and there is no HTTPS")


@pytest.mark.slow
def test_with_a_certificate_the_study_is_served_by_https_alone(study, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    try:
        subprocess.run([*make, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with served(study, "--host", "0.0.0.0", "--https-cert", str(cert), "--https-key", str(key)) as (process, url):
        trusted = ssl.create_default_context(cafile=str(cert))
        port = url.rsplit(":", 1)[1]
        with urllib.request.urlopen(f"https://localhost:{port}/", context=trusted) as reply:
            assert reply.headers["strict-transport-security"]
        with pytest.raises(OSError, match=r"disconnect|reset|Remote end"):
            urllib.request.urlopen(f"http://localhost:{port}/")
        process.terminate()
        assert "warning" not in process.communicate()[1]


def test_the_core_waits_for_nothing_of_the_study():
    program = "import sys; from aggan.cli import run; run(['study', '--help']); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    loaded = set(told.stdout.split("\n")[-2].split())
    assert not loaded & {"fastapi", "sqlmodel", "sqlalchemy", "uvicorn", "torch", "numpy", "pydantic"}


def test_without_its_extra_the_study_says_what_to_install(study):
    program = f"""
import sys
sys.modules["sqlmodel"] = None
from aggan.cli import run
sys.exit(run(["study", "results", {str(study)!r}]))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (2, "aggan study: results needs sqlmodel: pip install 'aggan[study]'\n")
