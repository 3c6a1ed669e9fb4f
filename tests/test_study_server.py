"""The server, through HTTP: what it tells, what it stores, and whom it refuses."""

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
from studies import LOOSE, PAIRS, PLENTY, postgres, postgres_binary, serving, small_study

from aggan.errors import UserError
from aggan.study.answers import participations
from aggan.study.design import Kind, Side, trials
from aggan.study.limits import Allowance, Buckets, Limits, origin
from aggan.study.plan import Settings, read_plan
from aggan.study.results import results
from aggan.study.store import Identity, Store

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    if postgres_binary("initdb") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres() as room:
        yield room


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/answers.sqlite"
    room, name = request.getfixturevalue("postgres_server"), f"study{next(NUMBERS)}"
    with psycopg.connect(f"postgresql://postgres@/postgres?host={room}", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return f"postgresql://postgres@/{name}?host={room}"


@pytest.fixture
def study(tmp_path) -> Path:
    return small_study(tmp_path)


@pytest.fixture
def client(study, tmp_path) -> Iterator[TestClient]:
    with serving(study, f"sqlite:///{tmp_path}/answers.sqlite") as (app, _), TestClient(app) as client:
        yield client


class Page:
    """What the page in a browser does."""

    def __init__(self, client: TestClient, **identity: str) -> None:
        self.client, self.token = client, secrets.token_urlsafe(32)
        self.joining = {"token": self.token, **identity}
        self.state = self.join().raise_for_status().json()
        self.bearer = {"authorization": f"Bearer {self.token}"}

    def join(self):
        return self.client.post("/participants", json=self.joining)

    def answer(self, trial: int, chosen: str = "left", **more: object):
        sent = {"trial": trial, "chosen": chosen, "milliseconds": 500, **more}
        return self.client.post("/answers", json=sent, headers=self.bearer)

    def now(self) -> dict:
        return self.client.get("/participants/me", headers=self.bearer).raise_for_status().json()


def test_a_whole_participation_is_stored_and_counted(study, database):
    plan = read_plan(study)
    with serving(study, database) as (app, store), TestClient(app) as client:
        page = Page(client)
        for index, trial in enumerate(trials(plan, 0)):
            assert page.now()["done"] == index
            wrong = trial.kind is Kind.MAIN and trial.system == "good"
            told = page.answer(index, next(side for side in Side if (side == trial.real) != wrong)).json()
            assert told.get("real") == (trial.real if trial.kind is Kind.PRACTICE else None)
            assert told["finished"] == (index == PAIRS - 1)
        assert page.now()["finished"]
        found = participations(plan, store)
        made = results(plan, found)
    assert [(one.finished, one.missed) for one in found] == [(True, 0)]
    assert {name: (row.fooled, row.answers) for name, row in made.systems.items()} == {"good": (1, 2), "bad": (0, 2)}


def test_the_page_never_learns_which_side_is_real(study, client):
    page = Page(client)
    assert set(page.state) == {"done", "trials", "finished", "completion"}
    assert all(set(trial) == {"left", "right", "practice"} for trial in page.state["trials"])
    assert sum(trial["practice"] for trial in page.state["trials"]) == 2  # checks look like the others
    replies = [client.get(trial[side]) for trial in page.state["trials"] for side in Side]
    assert len({len(reply.content) for reply in replies}) == 1
    assert len({str(sorted(reply.headers.items())) for reply in replies}) == 1
    others = Page(client).state["trials"]
    assert not {t[s] for t in others for s in Side} & {t[s] for t in page.state["trials"] for s in Side} - {""}
    html = client.get("/").text
    assert not any(word in html for word in ("good", "bad", "real.png", read_plan(study).secret))


def test_the_pictures_on_each_side_are_those_of_the_plan(study, client):
    shown, real = Page(client).state["trials"], trials(read_plan(study), 0)
    for there, trial in zip(shown, real, strict=True):
        if trial.kind is Kind.MAIN:
            means = {side: np.asarray(Pillow.open(io.BytesIO(client.get(there[side]).content))).mean() for side in Side}
            assert min(means, key=means.__getitem__) == trial.real


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
    before = page.now()
    reply = page.answer(**{"trial": 0, **change})
    assert reply.status_code == status
    assert set(reply.json()) == {"refused"}
    assert page.now() == before
    assert page.answer(0).status_code == 201


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_an_answer_counts_once(study, database):
    with serving(study, database) as (app, store), TestClient(app) as client:
        page = Page(client)
        assert page.answer(0, "left").status_code == 201
        assert page.answer(0, "right").status_code == 409
        (_, answers) = store.everything()
    assert [(one.trial, one.chosen) for one in answers[1]] == [(0, "left")]


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer x", "Basic {}", "Bearer {}x", "bearer {}", "Bearer " + "x" * 100]
)
def test_without_the_participants_token_nothing_is_told_or_stored(client, header):
    page = Page(client)
    forged = {"authorization": header.format(page.token)}
    sent = {"trial": 0, "chosen": "left", "milliseconds": 1}
    assert client.post("/answers", json=sent, headers=forged).status_code == 401
    assert client.get("/participants/me", headers=forged).status_code == 401
    assert page.now()["done"] == 0


def test_no_answer_is_taken_after_the_last(client):
    page = Page(client)
    for index in range(PAIRS):
        page.answer(index).raise_for_status()
    assert page.answer(PAIRS).status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        "/plan.json", "/static/%2e%2e/plan.py", "/static/..%2fplan.py", "/static//etc/passwd", "/static/", "/static",
        "/pictures/0/../../plan.json", "/pictures/0/00000.png", "/pictures/x/y.png", "/pictures/-1/y.png",
        "/pictures/99999999999999999999/y.png", "/pictures/%D9%A1/y.png", "/docs", "/openapi.json", "/%00",
    ],
)  # fmt: skip
def test_nothing_else_can_be_fetched(client, path):
    reply = client.get(path)
    assert reply.status_code == 404
    assert reply.json() == {"refused": "no such thing"} or reply.json() == {"refused": "no such picture"}


def test_a_body_too_large_is_not_read(client, study):
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1000

    assert client.post("/answers", content=b"x" * 5000).status_code == 413
    assert client.post("/participants", content=endless()).status_code == 413
    log = (study / "server.log").read_text()
    assert re.search(" 413 [0-9a-f]{12} POST /answers", log)


def test_the_log_tells_who_was_refused_several_times_but_not_their_address(study, tmp_path):
    for _ in range(2):
        with serving(study, f"sqlite:///{tmp_path}/answers.sqlite") as (app, _), TestClient(app) as client:
            client.get("/one")
            client.get("/two")
    log = (study / "server.log").read_text()
    assert "testclient" not in log
    first, again, *others = re.findall(r" 404 ([0-9a-f]{12}) GET /", log)
    assert first == again
    assert others[0] == others[1] != first  # the salt is another one at each start


def test_a_path_cannot_write_lines_of_its_own_into_the_log(client, study):
    client.get("/a%0a2026-01-01 200 GET /b%1b[31m")
    (line,) = (study / "server.log").read_text().splitlines()
    assert r"\n2026" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}", b"[]", b"null", b"\xff\xfe", b'{"service": 1}', b'{"person": "a b"}', b"[" * 4000]
)
def test_what_is_no_json_of_ours_is_refused(client, content):
    reply = client.post("/participants", content=content, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    assert set(reply.json()) == {"refused"}


def test_every_answer_carries_the_headers_that_protect_a_page(client):
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


def test_text_of_whoever_runs_the_study_is_shown_as_text(tmp_path):
    study = small_study(tmp_path, Settings(title="<b>a</b>", consent=("<script>alert(1)</script>",)))
    with serving(study, f"sqlite:///{tmp_path}/a.sqlite") as (app, _), TestClient(app) as client:
        page = client.get("/").text
    assert "&lt;script&gt;" in page
    assert "<b>" not in page.replace("<b>Which one is real?</b>", "")


def test_once_is_once_for_whom_a_service_names(tmp_path, database):
    study = small_study(tmp_path, Settings(once=True))
    with serving(study, database) as (app, _), TestClient(app) as client:
        first = Page(client, service="prolific", person="5f1")
        again = client.post("/participants", json={**first.joining, "token": secrets.token_urlsafe(32)})
        assert again.status_code == 403
        assert again.json()["refused"].startswith("you have begun this study already")
        Page(client, service="mturk", person="5f1")
        Page(client)
        assert "/pictures/3/" in Page(client).state["trials"][0]["left"]  # whoever was refused took no number
        assert first.now()["done"] == 0


def test_a_page_that_lost_the_answer_joins_again_as_the_same_participant(tmp_path, database):
    study = small_study(tmp_path, Settings(once=True))
    with serving(study, database) as (app, store), TestClient(app) as client:
        page = Page(client, service="prolific", person="5f1")
        page.answer(0)
        again = page.join()
        assert again.status_code == 201
        assert again.json() == {**page.state, "done": 1}
        assert len(store.everything()[0]) == 1


def test_of_one_token_there_is_one_participant_however_many_ask_at_once(study, database):
    sent = {"token": secrets.token_urlsafe(32)}
    with serving(study, database) as (app, store), TestClient(app) as client, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: client.post("/participants", json=sent), range(16)))
        assert len({reply.text for reply in replies}) == 1
        assert {reply.status_code for reply in replies} == {201}
        assert len(store.everything()[0]) == 1


@pytest.mark.parametrize("token", ["", "x", "x" * 42, "x" * 44, "=" * 43, "x" * 42 + "\n", "é" * 43, 7, None])
def test_a_token_that_no_page_would_draw_is_refused(client, token):
    assert client.post("/participants", json={"token": token}).status_code == 422


def test_only_who_has_finished_is_sent_back_to_be_paid(tmp_path):
    study = small_study(tmp_path, Settings(completion="https://app.prolific.com/submissions/complete?cc=C1"))
    with serving(study, f"sqlite:///{tmp_path}/a.sqlite") as (app, _), TestClient(app) as client:
        page = Page(client, service="prolific", person="a", session="s:t")
        told = [page.answer(index).json()["completion"] for index in range(PAIRS)]
        assert "C1" not in client.get("/").text
    assert told == [None] * (PAIRS - 1) + ["https://app.prolific.com/submissions/complete?cc=C1"]


def test_mturk_may_frame_the_page_where_it_was_asked_for(tmp_path):
    study = small_study(tmp_path, Settings(mturk=True))
    with serving(study, f"sqlite:///{tmp_path}/a.sqlite") as (app, _), TestClient(app) as client:
        policy = client.get("/").headers["content-security-policy"]
    assert "frame-ancestors https://*.mturk.com" in policy
    assert "form-action https://workersandbox.mturk.com https://www.mturk.com" in policy


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (Limits(Allowance(2.0, 0.0), PLENTY, PLENTY), [201, 201, 429]),
        (LOOSE, [201, 201, 201]),
    ],
)
def test_an_address_begins_so_many_participations_at_once(study, tmp_path, limits, status):
    with serving(study, f"sqlite:///{tmp_path}/a.sqlite", limits) as (app, _), TestClient(app) as client:
        joining = [{"token": secrets.token_urlsafe(32)} for _ in range(3)]
        assert [client.post("/participants", json=one).status_code for one in joining] == status


def test_an_address_that_was_refused_often_gets_no_answers(study, tmp_path):
    limits = Limits(PLENTY, Allowance(3.0, 0.0), PLENTY)
    with serving(study, f"sqlite:///{tmp_path}/a.sqlite", limits) as (app, _), TestClient(app) as client:
        assert [client.get("/none").status_code for _ in range(5)] == [404, 404, 404, 429, 429]
        assert client.get("/").status_code == 429


def test_a_participant_cannot_answer_faster_than_people_do(study, tmp_path):
    limits = Limits(PLENTY, PLENTY, Allowance(2.0, 0.0))
    with serving(study, f"sqlite:///{tmp_path}/a.sqlite", limits) as (app, _), TestClient(app) as client:
        page = Page(client)
        assert [page.answer(index).status_code for index in range(3)] == [201, 201, 429]
        assert page.now()["done"] == 2


def test_a_bucket_fills_up_again_and_forgets_who_was_quiet_longest(monkeypatch):
    now = [0.0]
    buckets = Buckets(Allowance(2.0, 0.5), lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    now[0] = 2.0
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    monkeypatch.setattr("aggan.study.limits.REMEMBERED", 2)
    for who in "bc":
        buckets.take(who)
    assert buckets.level("a") == 2


def test_a_subscribers_addresses_count_as_one():
    assert origin("2001:db8:1:2:3::4") == origin("2001:db8:1:2:ffff::1") != origin("2001:db8:1:3::1")
    assert origin("192.0.2.1") != origin("192.0.2.2")
    assert origin("testclient") == "testclient"


def test_two_servers_share_one_database(study, database):
    with serving(study, database) as (one, _), serving(study, database) as (two, store):
        with TestClient(one) as first, TestClient(two) as second:
            page = Page(first)
            page.answer(0).raise_for_status()
            page.client = second
            assert page.answer(0).status_code == 409
            page.answer(1).raise_for_status()
            assert "/pictures/1/" in Page(second).state["trials"][0]["left"]
        assert len(store.everything()[1][1]) == 2


def test_a_database_of_another_study_is_left_alone(tmp_path, database):
    Store(database, "one").close()
    with pytest.raises(UserError, match="answers of another study"):
        Store(database, "two")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///a.sqlite?timeout=b", "--database: the address cannot be read; give"),
        ("sqlite:///", "it should begin with postgresql:// or sqlite:///"),
        ("answers.sqlite", "--database: the address cannot be read; give postgresql://"),
        ("postgresql://u:secret@h:x/n", "--database: the address cannot be read; give postgresql://"),
        ("mysql://x/y", "it should begin with postgresql:// or sqlite:///"),
        ("sqlite:////no/such/folder/a.sqlite", "the database cannot be used: unable to open"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "the database cannot be used: connection"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence_without_its_password(url, told):
    with pytest.raises(UserError, match=told) as why:
        Store(url, "s")
    assert "secret" not in str(why.value)


def test_tokens_are_not_in_the_database(study, database):
    with serving(study, database) as (_, store):
        token = secrets.token_urlsafe(32)
        store.join(token, Identity(), once=False)
        (person,), _ = store.everything()
        assert token not in json.dumps(person.model_dump())
        assert store.find(token) == (0, 0)
