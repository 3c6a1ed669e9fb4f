"""Whole participations in a real browser: mouse, keys, touch, a reload, a lost connection, Prolific and MTurk."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from studies import PAIRS, small_study

from aggan.study.answers import Participation, participations
from aggan.study.design import Side
from aggan.study.plan import Settings, read_plan
from aggan.study.serving import database_of
from aggan.study.simulate import server
from aggan.study.store import Store

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium"),
]
DESK = {"viewport": {"width": 1000, "height": 700}}
TELEPHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    with playwright.sync_playwright() as started, closing(started.chromium.launch(executable_path=BROWSER)) as browser:
        yield browser


class Visit:
    """A browser at a study, in which nothing may go wrong and nothing be asked of anybody else."""

    def __init__(self, chromium, url: str, device: dict) -> None:
        self.context = chromium.new_context(**device)
        self.url, self.outside, self.errors = url, [], []
        self.open()

    def open(self) -> None:
        self.page = self.context.new_page()
        self.page.on("request", lambda asked: self.outside.append(asked.url))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda why: self.errors.append(str(why)))

    def begin(self, query: str = "") -> None:
        self.page.goto(self.url + query)
        self.page.get_by_role("button", name="I agree").click()
        self.page.get_by_role("button", name="Start").click()

    def pairs(self, numbers: range, choose: Callable[[int], None]) -> None:
        for number in numbers:
            if number == 2:
                self.page.get_by_role("button", name="Go on").click()
            playwright.expect(self.page.get_by_text(f"Pair {number + 1} of {PAIRS}")).to_be_visible()
            self.page.locator(".side:enabled").first.wait_for()
            choose(number)

    def end(self) -> None:
        playwright.expect(self.page.get_by_role("heading", name="Thank you")).to_be_visible()
        assert not self.errors
        assert all(asked.startswith(self.url) for asked in self.outside)

    def click(self, number: int) -> None:
        self.page.get_by_role("button", name=f"The {side(number)} picture is real").click()

    def press(self, number: int) -> None:
        self.page.keyboard.press(("ArrowLeft", "f")[number % 4 // 2] if side(number) is Side.LEFT else "ArrowRight")

    def tap(self, number: int) -> None:
        self.page.locator(f"[data-side={side(number)}]").tap()


def side(number: int) -> Side:
    """What is answered to a pair."""
    return Side.LEFT if number % 2 else Side.RIGHT


@pytest.fixture
def study(tmp_path, request) -> Path:
    return small_study(tmp_path, getattr(request, "param", None))


@pytest.fixture
def visiting(study, chromium) -> Iterator[Callable[..., Visit]]:
    """Opens browsers at a server of the study."""
    visits: list[Visit] = []

    def visit(device: dict) -> Visit:
        visits.append(Visit(chromium, url, device))
        return visits[-1]

    with server(study, f"sqlite:///{study}/answers.sqlite") as url:
        yield visit
        for one in visits:
            one.context.close()


def stored(study: Path) -> list[Participation]:
    plan = read_plan(study)
    with closing(Store(database_of(study, None), plan.study)) as store:
        return participations(plan, store)


def assert_whole(participation: Participation) -> None:
    """All answers are there, as they were given."""
    assert [one.answer.chosen for one in participation.given] == [side(number) for number in range(PAIRS)]
    assert all(0 < one.answer.milliseconds < 60_000 for one in participation.given)


@pytest.mark.parametrize(("device", "how"), [(DESK, "click"), (DESK, "press"), (TELEPHONE, "tap")])
def test_a_whole_participation(study, visiting, device, how):
    visit = visiting(device)
    visit.begin()
    visit.pairs(range(PAIRS), getattr(visit, how))
    visit.end()
    assert_whole(*stored(study))


def test_a_reload_and_a_closed_tab_go_on_where_they_stopped(study, visiting):
    visit = visiting(DESK)
    visit.begin()
    visit.pairs(range(3), visit.click)
    visit.page.locator(".side:enabled").first.wait_for()
    visit.page.reload()
    playwright.expect(visit.page.get_by_text(f"You have answered 3 of {PAIRS} pairs")).to_be_visible()
    visit.page.get_by_role("button", name="Go on").click()
    visit.pairs(range(3, 5), visit.press)
    visit.page.locator(".side:enabled").first.wait_for()
    visit.page.close()
    visit.open()
    visit.page.goto(visit.url)
    visit.page.get_by_role("button", name="Go on").click()
    visit.pairs(range(5, PAIRS), visit.click)
    visit.end()
    assert_whole(*stored(study))


def test_an_answer_is_sent_until_it_is_stored_and_stored_once(study, visiting):
    """The connection is lost before the server hears of the first answer, and after it has heard of the fourth."""
    visit, tried = visiting(DESK), []

    def answers(route) -> None:
        tried.append(route.request.post_data)
        if len(tried) == 5:
            route.fetch()
        route.abort() if len(tried) in (1, 5) else route.continue_()

    visit.context.route("**/answers", answers)
    visit.begin()
    visit.pairs(range(1), visit.click)
    playwright.expect(visit.page.get_by_text("Trying again; nothing is lost")).to_be_visible()
    playwright.expect(visit.page.get_by_text("Trying again; nothing is lost")).to_have_count(0)
    visit.pairs(range(1, PAIRS), visit.click)
    playwright.expect(visit.page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert (len(tried), tried[0], tried[4]) == (PAIRS + 2, tried[1], tried[5])
    assert_whole(*stored(study))


@pytest.mark.parametrize("study", [Settings(exposure=0.2, once=True)], indirect=True)
@pytest.mark.parametrize("reloaded", [False, True])
def test_whoever_agreed_is_in_even_where_the_answer_to_that_was_lost(study, visiting, reloaded):
    visit, tried = visiting(DESK), []

    def joins(route) -> None:
        tried.append(route.request.post_data)
        if len(tried) > 1 and not reloaded:
            return route.continue_()
        route.fetch()
        route.abort()

    visit.context.route("**/participants", joins)
    visit.begin("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    playwright.expect(visit.page.get_by_text("Trying again; nothing is lost")).to_be_visible()
    if reloaded:
        visit.page.reload()
        visit.page.get_by_role("button", name="Go on").click()
    visit.pairs(range(PAIRS), visit.click)
    playwright.expect(visit.page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert len(set(tried)) == 1
    assert_whole(*stored(study))


def test_pictures_vanish_after_their_time_and_come_back_with_the_truth_in_practice_only(visiting):
    visit = visiting(DESK)
    visit.begin()
    pictures = visit.page.locator(".frame img")

    def look(number: int) -> None:
        playwright.expect(pictures.first).to_be_hidden(timeout=2000)
        assert pictures.count() == 2
        visit.click(number)
        if number < 2:
            playwright.expect(
                visit.page.get_by_text(re.compile("^(Correct|Wrong): the (left|right) one is real"))
            ).to_be_visible()
            playwright.expect(pictures.first).to_be_visible()
        else:
            assert visit.page.locator(".feedback").inner_text() == ""

    visit.pairs(range(4), look)


def test_the_page_gives_a_screen_reader_what_it_shows(visiting):
    visit = visiting(DESK)
    visit.page.goto(visit.url)
    assert visit.page.locator("html").get_attribute("lang") == "en"
    visit.page.get_by_role("button", name="I agree").click()
    playwright.expect(visit.page.get_by_role("heading", name="How it goes")).to_be_focused()
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    visit.page.locator(".side:enabled").first.wait_for()
    for name in ("The left picture is real", "The right picture is real"):
        playwright.expect(visit.page.get_by_role("button", name=name)).to_be_visible()
    playwright.expect(visit.page.get_by_role("progressbar", name="Progress")).to_be_visible()
    assert visit.page.locator(".feedback").get_attribute("role") == "status"


@pytest.mark.parametrize(
    "device",
    [
        DESK,
        TELEPHONE,
        TELEPHONE | {"viewport": {"width": 320, "height": 568}},
        TELEPHONE | {"viewport": {"width": 667, "height": 375}},
    ],
)
def test_a_pair_fits_on_the_screen(visiting, device):
    visit = visiting(device)
    visit.begin()
    visit.page.locator(".side:enabled").first.wait_for()
    width, height = device["viewport"].values()
    for button in visit.page.locator(".side").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
        assert box["width"] >= 130


def test_on_a_shared_device_the_next_person_begins_anew(study, visiting):
    visit = visiting(DESK)
    for _ in range(2):
        visit.begin()
        visit.pairs(range(PAIRS), visit.click)
        visit.end()
    assert len(stored(study)) == 2


@pytest.mark.parametrize("study", [Settings(exposure=0.2, once=True)], indirect=True)
def test_where_once_is_asked_for_a_second_time_is_refused(study, visiting):
    visit = visiting(DESK)
    visit.begin("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    visit.pairs(range(PAIRS), visit.click)
    visit.end()
    visit.page.reload()
    visit.end()
    other = visiting(DESK)
    other.begin("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    playwright.expect(other.page.get_by_text("you have begun this study already")).to_be_visible()
    assert len(stored(study)) == 1


COMPLETION = "https://app.prolific.com/submissions/complete?cc=C1"


@pytest.mark.parametrize("study", [Settings(exposure=0.2, completion=COMPLETION)], indirect=True)
def test_prolifics_participants_go_back_to_be_paid(study, visiting):
    visit = visiting(TELEPHONE)
    visit.context.route("https://app.prolific.com/**", lambda route: route.fulfill(body="paid"))
    visit.begin("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    visit.pairs(range(PAIRS), visit.tap)
    visit.page.wait_for_url(COMPLETION)
    (one,) = stored(study)
    assert (one.who.service, one.who.person, one.who.session) == ("prolific", "a1", "s:t")
    assert_whole(one)


HIT = "hitId=H&turkSubmitTo=https://workersandbox.mturk.com"


@pytest.mark.parametrize("study", [Settings(exposure=0.2, mturk=True)], indirect=True)
def test_mturks_workers_see_a_preview_and_hand_the_hit_in(study, visiting):
    visit, handed_in = visiting(DESK), []

    def take(route) -> None:
        handed_in.append(route.request.post_data)
        route.fulfill(body="thanks")

    visit.context.route("https://workersandbox.mturk.com/mturk/externalSubmit", take)
    visit.page.goto(f"{visit.url}/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&{HIT}")
    playwright.expect(visit.page.get_by_text("This is a preview")).to_be_visible()
    playwright.expect(visit.page.get_by_role("button", name="I agree")).to_be_disabled()
    visit.begin(f"/?assignmentId=A&workerId=W&{HIT}")
    visit.pairs(range(PAIRS), visit.press)
    visit.page.get_by_role("button", name="Submit the HIT").click()
    visit.page.get_by_text("thanks").wait_for()
    assert handed_in == ["assignmentId=A&finished=yes"]
    visit.page.goto(f"{visit.url}/?assignmentId=B&workerId=W&{HIT}")
    # For another HIT one answers again.
    playwright.expect(visit.page.get_by_role("button", name="I agree")).to_be_visible()
    (one,) = stored(study)
    assert (one.who.service, one.who.person, one.who.session) == ("mturk", "W", "H:A")


def test_a_link_that_was_tampered_with_is_told(visiting):
    visit = visiting(DESK)
    visit.begin("?PROLIFIC_PID=%3Cscript%3E")
    playwright.expect(visit.page.get_by_role("heading", name="Sorry")).to_be_visible()


def test_a_participant_whom_the_server_does_not_know_any_more_is_told(visiting):
    visit = visiting(DESK)
    refusal = {"status": 401, "json": {"refused": "unknown participant"}}
    visit.context.route("**/answers", lambda route: route.fulfill(**refusal))
    visit.begin()
    visit.pairs(range(1), visit.click)
    playwright.expect(visit.page.get_by_text("unknown participant.")).to_be_visible()
