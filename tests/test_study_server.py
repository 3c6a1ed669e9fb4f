"""The web application over HTTP: what it reveals, what it stores, and which requests it refuses."""

import io
import itertools
import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest
from fastapi.testclient import TestClient
from PIL import Image as Pillow
from psycopg.sql import SQL, Identifier
from studies import (
    NO_LIMITS,
    TRIALS,
    UNLIMITED,
    convert_to_version_1,
    postgres,
    postgres_binary,
    small_study,
    study_app,
)

from aggan.errors import UserError
from aggan.study.database import AnswerDatabase, Identity
from aggan.study.design import Kind, Side, participant_trials
from aggan.study.participation import load_participations
from aggan.study.plan import Settings, read_plan
from aggan.study.rate_limits import RateLimit, RateLimits, TokenBuckets, client_network
from aggan.study.results import compute_results

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    if postgres_binary("initdb") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres() as socket_folder:
        yield socket_folder


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/answers.sqlite"
    folder, name = request.getfixturevalue("postgres_server"), f"study{next(NUMBERS)}"
    with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}", autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return f"postgresql://postgres@/{name}?host={folder}"


@pytest.fixture
def study(tmp_path) -> Path:
    return small_study(tmp_path)


@pytest.fixture
def client(study, tmp_path) -> Iterator[TestClient]:
    with study_app(study, f"sqlite:///{tmp_path}/answers.sqlite") as (app, _), TestClient(app) as client:
        yield client


class Page:
    """Sends what the page in a browser sends."""

    def __init__(self, client: TestClient, **identity: str) -> None:
        self.client, self.token = client, secrets.token_urlsafe(32)
        self.join_request = {"token": self.token, **identity}
        self.state = self.join().raise_for_status().json()
        self.headers = {"authorization": f"Bearer {self.token}"}

    def join(self):
        return self.client.post("/participants", json=self.join_request)

    def answer(self, trial: int, chosen: str = "left", **more: object):
        body = {"trial": trial, "chosen": chosen, "milliseconds": 500, **more}
        return self.client.post("/answers", json=body, headers=self.headers)

    def current_state(self) -> dict:
        return self.client.get("/participants/me", headers=self.headers).raise_for_status().json()


def test_a_whole_participation_is_stored_and_counted(study, url):
    plan = read_plan(study)
    with study_app(study, url) as (app, database), TestClient(app) as client:
        page = Page(client)
        for index, trial in enumerate(participant_trials(plan, 0)):
            assert page.current_state()["done"] == index
            fooled = trial.kind is Kind.MAIN and trial.method == "good"
            reply = page.answer(index, next(side for side in Side if (side == trial.real_side) != fooled)).json()
            assert reply["real"] == (trial.real_side if trial.kind is Kind.PRACTICE else None)
            assert reply["finished"] == (index == TRIALS - 1)
        assert page.current_state()["finished"]
        participations = load_participations(plan, database)
        results = compute_results(plan, participations)
    assert [(one.finished, one.missed_checks) for one in participations] == [(True, 0)]
    rates = {method: (row.fooled, row.answers) for method, row in results.methods.items()}
    assert rates == {"good": (1, 2), "bad": (0, 2)}


def test_the_page_never_learns_which_side_is_real(study, client):
    page = Page(client)
    assert set(page.state) == {"done", "trials", "finished", "completion_url"}
    assert all(set(trial) == {"left", "right", "practice"} for trial in page.state["trials"])
    assert sum(trial["practice"] for trial in page.state["trials"]) == 2  # attention checks look like main trials
    replies = [client.get(trial[side]) for trial in page.state["trials"] for side in Side]
    assert len({len(reply.content) for reply in replies}) == 1
    assert len({str(sorted(reply.headers.items())) for reply in replies}) == 1
    other = Page(client)
    urls, other_urls = ({trial[side] for trial in one.state["trials"] for side in Side} for one in (page, other))
    assert not urls & other_urls
    html = client.get("/").text
    assert not any(word in html for word in ("good", "bad", "real.png", read_plan(study).secret))


def assert_images_are_those_of_the_plan(study: Path, client: TestClient) -> None:
    for urls, trial in zip(Page(client).state["trials"], participant_trials(read_plan(study), 0), strict=True):
        if trial.kind is Kind.MAIN:
            means = {side: np.asarray(Pillow.open(io.BytesIO(client.get(urls[side]).content))).mean() for side in Side}
            assert min(means, key=means.__getitem__) == trial.real_side


def test_the_images_on_each_side_are_those_of_the_plan(study, client):
    assert_images_are_those_of_the_plan(study, client)


def test_a_study_of_version_1_is_served(study, tmp_path):
    convert_to_version_1(study)
    with study_app(study, f"sqlite:///{tmp_path}/answers.sqlite") as (app, _), TestClient(app) as client:
        assert_images_are_those_of_the_plan(study, client)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"trial": 1}, 409),
        ({"trial": -1}, 422),
        ({"trial": 10**30}, 422),
        ({"trial": "0"}, 422),
        ({"trial": 0.0}, 422),
        ({"trial": None}, 422),
        ({"chosen": "both"}, 422),
        ({"chosen": "LEFT"}, 422),
        ({"chosen": ["left"]}, 422),
        ({"milliseconds": -1}, 422),
        ({"milliseconds": 10**12}, 422),
        ({"milliseconds": True}, 422),
        ({"real": "left"}, 422),
        ({"participant": 0}, 422),
    ],
)
def test_a_forged_answer_is_refused_and_changes_nothing(client, change, status):
    page = Page(client)
    before = page.current_state()
    reply = page.answer(**{"trial": 0, **change})
    assert reply.status_code == status
    assert set(reply.json()) == {"detail"}
    assert page.current_state() == before
    assert page.answer(0).status_code == 201


def test_an_answer_counts_once(study, url):
    with study_app(study, url) as (app, database), TestClient(app) as client:
        page = Page(client)
        assert page.answer(0, "left").status_code == 201
        assert page.answer(0, "right").status_code == 409
        _, answers = database.load()
    assert [(answer.trial, answer.chosen) for answer in answers[1]] == [(0, "left")]


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer x", "Basic {}", "Bearer {}x", "bearer {}", "Bearer " + "x" * 100]
)
def test_without_the_participants_token_nothing_is_revealed_or_stored(client, header):
    page = Page(client)
    forged = {"authorization": header.format(page.token)}
    body = {"trial": 0, "chosen": "left", "milliseconds": 1}
    assert client.post("/answers", json=body, headers=forged).status_code == 401
    assert client.get("/participants/me", headers=forged).status_code == 401
    assert page.current_state()["done"] == 0


def test_no_answer_is_accepted_after_the_last(client):
    page = Page(client)
    for index in range(TRIALS):
        page.answer(index).raise_for_status()
    assert page.answer(TRIALS).status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        "/plan.json", "/static/%2e%2e/plan.py", "/static/..%2fplan.py", "/static//etc/passwd", "/static/", "/static",
        "/images/0/../../plan.json", "/images/0/00000.png", "/images/x/y.png", "/images/-1/y.png",
        "/images/99999999999999999999/y.png", "/images/%D9%A1/y.png", "/docs", "/openapi.json", "/%00",
    ],
)  # fmt: skip
def test_nothing_else_can_be_fetched(client, path):
    reply = client.get(path)
    assert reply.status_code == 404
    assert reply.json() == {"detail": "Not Found"} or reply.json() == {"detail": "no such image"}


def test_a_body_that_is_too_large_is_not_read(client, study):
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1000

    assert client.post("/answers", content=b"x" * 5000).status_code == 413
    assert client.post("/participants", content=endless()).status_code == 413
    log = (study / "server.log").read_text()
    assert re.search(" 413 [0-9a-f]{12} POST /answers", log)


def test_the_log_identifies_repeated_refusals_without_the_address(study, tmp_path):
    for _ in range(2):
        with study_app(study, f"sqlite:///{tmp_path}/answers.sqlite") as (app, _), TestClient(app) as client:
            client.get("/one")
            client.get("/two")
    log = (study / "server.log").read_text()
    assert "testclient" not in log
    first, second, *others = re.findall(r" 404 ([0-9a-f]{12}) GET /", log)
    assert first == second
    assert others[0] == others[1] != first  # every start has a new salt


def test_a_path_cannot_forge_lines_of_the_log(client, study):
    client.get("/a%0a2026-01-01 200 GET /b%1b[31m")
    (line,) = (study / "server.log").read_text().splitlines()
    assert r"\n2026" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}", b"[]", b"null", b"\xff\xfe", b'{"service": 1}', b'{"person": "a b"}', b"[" * 4000]
)
def test_invalid_json_is_refused(client, content):
    reply = client.post("/participants", content=content, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    assert set(reply.json()) == {"detail"}


def test_every_response_has_security_headers(client):
    for reply in (
        client.get("/"),
        client.get("/static/study.js"),
        client.get("/none"),
        client.post("/answers", content=b"x" * 9000),
    ):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in reply.headers


def test_the_experimenters_text_is_escaped(tmp_path):
    study = small_study(tmp_path, Settings(title="<b>a</b>", consent=("<script>alert(1)</script>",)))
    with study_app(study, f"sqlite:///{tmp_path}/a.sqlite") as (app, _), TestClient(app) as client:
        page = client.get("/").text
    assert "&lt;script&gt;" in page
    assert "<b>" not in page.replace("<b>Which one is real?</b>", "")


def test_forbidden_repeats_are_refused_by_the_services_participant_id(tmp_path, url):
    study = small_study(tmp_path, Settings(forbid_repeats=True))
    with study_app(study, url) as (app, _), TestClient(app) as client:
        first = Page(client, service="prolific", person="5f1")
        repeat = client.post("/participants", json={**first.join_request, "token": secrets.token_urlsafe(32)})
        assert repeat.status_code == 403
        assert repeat.json()["detail"].startswith("You have already started this study")
        Page(client, service="mturk", person="5f1")
        Page(client)
        assert "images/3/" in Page(client).state["trials"][0]["left"]  # the refused repeat used up no number
        assert first.current_state()["done"] == 0


def test_a_repeated_join_request_returns_the_same_participant(tmp_path, url):
    study = small_study(tmp_path, Settings(forbid_repeats=True))
    with study_app(study, url) as (app, database), TestClient(app) as client:
        page = Page(client, service="prolific", person="5f1")
        page.answer(0)
        reply = page.join()
        assert reply.status_code == 201
        assert reply.json() == {**page.state, "done": 1}
        assert len(database.load()[0]) == 1


def test_simultaneous_join_requests_with_one_token_create_one_participant(study, url):
    body = {"token": secrets.token_urlsafe(32)}
    with study_app(study, url) as (app, database), TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: client.post("/participants", json=body), range(16)))
        assert len({reply.text for reply in replies}) == 1
        assert {reply.status_code for reply in replies} == {201}
        assert len(database.load()[0]) == 1


@pytest.mark.parametrize("token", ["", "x", "x" * 42, "x" * 44, "=" * 43, "x" * 42 + "\n", "é" * 43, 7, None])
def test_an_invalid_token_is_refused(client, token):
    assert client.post("/participants", json={"token": token}).status_code == 422


def test_only_finished_participants_get_the_completion_url(tmp_path):
    study = small_study(tmp_path, Settings(completion_url="https://app.prolific.com/submissions/complete?cc=C1"))
    with study_app(study, f"sqlite:///{tmp_path}/a.sqlite") as (app, _), TestClient(app) as client:
        page = Page(client, service="prolific", person="a", session="s:t")
        urls = [page.answer(index).json()["completion_url"] for index in range(TRIALS)]
        assert "C1" not in client.get("/").text
    assert urls == [None] * (TRIALS - 1) + ["https://app.prolific.com/submissions/complete?cc=C1"]


def test_mturk_may_frame_the_page_if_the_study_says_so(tmp_path):
    study = small_study(tmp_path, Settings(mturk=True))
    with study_app(study, f"sqlite:///{tmp_path}/a.sqlite") as (app, _), TestClient(app) as client:
        policy = client.get("/").headers["content-security-policy"]
    assert "frame-ancestors https://*.mturk.com" in policy
    assert "form-action https://workersandbox.mturk.com https://www.mturk.com" in policy


@pytest.mark.parametrize(
    ("limits", "statuses"),
    [
        (RateLimits(RateLimit(2.0, 0.0), UNLIMITED, UNLIMITED), [201, 201, 429]),
        (NO_LIMITS, [201, 201, 201]),
    ],
)
def test_new_participants_of_one_address_are_limited(study, tmp_path, limits, statuses):
    with study_app(study, f"sqlite:///{tmp_path}/a.sqlite", limits) as (app, _), TestClient(app) as client:
        bodies = [{"token": secrets.token_urlsafe(32)} for _ in range(3)]
        assert [client.post("/participants", json=body).status_code for body in bodies] == statuses


def test_an_address_with_too_many_refusals_is_locked_out(study, tmp_path):
    limits = RateLimits(UNLIMITED, RateLimit(3.0, 0.0), UNLIMITED)
    with study_app(study, f"sqlite:///{tmp_path}/a.sqlite", limits) as (app, _), TestClient(app) as client:
        assert [client.get("/none").status_code for _ in range(5)] == [404, 404, 404, 429, 429]
        assert client.get("/").status_code == 429


def test_a_participants_answers_are_limited(study, tmp_path):
    limits = RateLimits(UNLIMITED, UNLIMITED, RateLimit(2.0, 0.0))
    with study_app(study, f"sqlite:///{tmp_path}/a.sqlite", limits) as (app, _), TestClient(app) as client:
        page = Page(client)
        assert [page.answer(index).status_code for index in range(3)] == [201, 201, 429]
        assert page.current_state()["done"] == 2


def test_token_buckets_refill_and_forget_the_client_that_was_idle_longest(monkeypatch):
    now = [0.0]
    buckets = TokenBuckets(RateLimit(2.0, 0.5), lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    now[0] = 2.0
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    monkeypatch.setattr("aggan.study.rate_limits.MAX_CLIENTS", 2)
    for client in "bc":
        buckets.take(client)
    assert buckets.level("a") == 2


def test_addresses_of_one_ipv6_subscriber_count_as_one():
    assert client_network("2001:db8:1:2:3::4") == client_network("2001:db8:1:2:ffff::1")
    assert client_network("2001:db8:1:2:3::4") != client_network("2001:db8:1:3::1")
    assert client_network("192.0.2.1") != client_network("192.0.2.2")
    assert client_network("testclient") == "testclient"


def test_two_servers_share_one_database(study, url):
    with study_app(study, url) as (one, _), study_app(study, url) as (two, database):
        with TestClient(one) as first, TestClient(two) as second:
            page = Page(first)
            page.answer(0).raise_for_status()
            page.client = second
            assert page.answer(0).status_code == 409
            page.answer(1).raise_for_status()
            assert "images/1/" in Page(second).state["trials"][0]["left"]
        assert len(database.load()[1][1]) == 2


def test_a_database_of_another_study_is_refused(url):
    AnswerDatabase(url, "one").close()
    with pytest.raises(UserError, match="answers of another study"):
        AnswerDatabase(url, "two")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///a.sqlite?timeout=b", "--database: invalid URL; use"),
        ("sqlite:///", "the URL must begin with postgresql:// or sqlite:///"),
        ("answers.sqlite", "--database: invalid URL; use postgresql://"),
        ("postgresql://u:secret@h:x/n", "--database: invalid URL; use postgresql://"),
        ("mysql://x/y", "the URL must begin with postgresql:// or sqlite:///"),
        ("sqlite:////no/such/folder/a.sqlite", "the database cannot be used: unable to open"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "the database cannot be used: connection"),
    ],
)
def test_an_unusable_database_is_reported_without_its_password(url, message):
    with pytest.raises(UserError, match=message) as error:
        AnswerDatabase(url, "s")
    assert "secret" not in str(error.value)


def test_tokens_are_not_in_the_database(study, url):
    with study_app(study, url) as (_, database):
        token = secrets.token_urlsafe(32)
        database.join(token, Identity(), forbid_repeats=False)
        (participant,), _ = database.load()
        assert token not in json.dumps(participant.model_dump())
        assert database.find(token) == (0, 0)
