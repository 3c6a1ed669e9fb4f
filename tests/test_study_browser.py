"""Complete participations in a real browser: mouse, keys, touch, reload, lost connection, Prolific and MTurk."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from studies import TRIALS, small_study

from aggan.study.database import AnswerDatabase, database_url
from aggan.study.design import Side
from aggan.study.participation import Participation, load_participations
from aggan.study.plan import Settings, read_plan
from aggan.study.simulate import server_process

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium"),
]
DESKTOP = {"viewport": {"width": 1000, "height": 700}}
PHONE = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    with playwright.sync_playwright() as started, closing(started.chromium.launch(executable_path=BROWSER)) as browser:
        yield browser


class Visit:
    """A browser that visits a study; records errors and requests to other servers."""

    def __init__(self, chromium, url: str, device: dict) -> None:
        self.context = chromium.new_context(**device)
        self.url, self.requests, self.errors = url, [], []
        self.open()

    def open(self) -> None:
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def start(self, query: str = "") -> None:
        self.page.goto(self.url + query)
        self.page.get_by_role("button", name="I agree").click()
        self.page.get_by_role("button", name="Start").click()

    def answer_pairs(self, numbers: range, choose: Callable[[int], None]) -> None:
        for number in numbers:
            if number == 2:
                self.page.get_by_role("button", name="Continue").click()
            playwright.expect(self.page.get_by_text(f"Pair {number + 1} of {TRIALS}")).to_be_visible()
            self.page.locator(".side:enabled").first.wait_for()
            choose(number)

    def assert_finished(self) -> None:
        playwright.expect(self.page.get_by_role("heading", name="Thank you")).to_be_visible()
        assert not self.errors
        assert all(request.startswith(self.url) for request in self.requests)

    def click(self, number: int) -> None:
        self.page.get_by_role("button", name=f"The {side(number)} image is real").click()

    def press(self, number: int) -> None:
        self.page.keyboard.press(("ArrowLeft", "f")[number % 4 // 2] if side(number) is Side.LEFT else "ArrowRight")

    def tap(self, number: int) -> None:
        self.page.locator(f"[data-side={side(number)}]").tap()


def side(number: int) -> Side:
    """The side that every test chooses for a pair."""
    return Side.LEFT if number % 2 else Side.RIGHT


@pytest.fixture
def study(tmp_path, request) -> Path:
    return small_study(tmp_path, getattr(request, "param", None))


@pytest.fixture
def open_browser(study, chromium) -> Iterator[Callable[[dict], Visit]]:
    """Opens browsers that visit a server of the study."""
    visits: list[Visit] = []

    def open_visit(device: dict) -> Visit:
        visits.append(Visit(chromium, url, device))
        return visits[-1]

    with server_process(study) as (_, url):
        yield open_visit
        for visit in visits:
            visit.context.close()


def stored_participations(study: Path) -> list[Participation]:
    plan = read_plan(study)
    with closing(AnswerDatabase(database_url(study, None), plan.study)) as database:
        return load_participations(plan, database)


def assert_complete(participation: Participation) -> None:
    """All answers are stored as chosen."""
    answers = [scored.answer for scored in participation.answers]
    assert [answer.chosen for answer in answers] == [side(number) for number in range(TRIALS)]
    assert all(0 < answer.milliseconds < 60_000 for answer in answers)


@pytest.mark.parametrize(("device", "action"), [(DESKTOP, "click"), (DESKTOP, "press"), (PHONE, "tap")])
def test_a_complete_participation(study, open_browser, device, action):
    visit = open_browser(device)
    visit.start()
    visit.answer_pairs(range(TRIALS), getattr(visit, action))
    visit.assert_finished()
    assert_complete(*stored_participations(study))


def test_a_reload_and_a_closed_tab_continue_where_they_stopped(study, open_browser):
    visit = open_browser(DESKTOP)
    visit.start()
    visit.answer_pairs(range(3), visit.click)
    visit.page.locator(".side:enabled").first.wait_for()
    visit.page.reload()
    playwright.expect(visit.page.get_by_text(f"You have answered 3 of {TRIALS} pairs")).to_be_visible()
    visit.page.get_by_role("button", name="Continue").click()
    visit.answer_pairs(range(3, 5), visit.press)
    visit.page.locator(".side:enabled").first.wait_for()
    visit.page.close()
    visit.open()
    visit.page.goto(visit.url)
    visit.page.get_by_role("button", name="Continue").click()
    visit.answer_pairs(range(5, TRIALS), visit.click)
    visit.assert_finished()
    assert_complete(*stored_participations(study))


def test_an_answer_is_repeated_until_it_is_stored_and_stored_once(study, open_browser):
    """The connection is lost before the server receives the first answer, and after it has received the fourth."""
    visit, requests = open_browser(DESKTOP), []

    def intercept(route) -> None:
        requests.append(route.request.post_data)
        if len(requests) == 5:
            route.fetch()
        route.abort() if len(requests) in (1, 5) else route.continue_()

    visit.context.route("**/answers", intercept)
    visit.start()
    visit.answer_pairs(range(1), visit.click)
    playwright.expect(visit.page.get_by_text("Trying again; your answers are safe")).to_be_visible()
    playwright.expect(visit.page.get_by_text("Trying again; your answers are safe")).to_have_count(0)
    visit.answer_pairs(range(1, TRIALS), visit.click)
    playwright.expect(visit.page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert (len(requests), requests[0], requests[4]) == (TRIALS + 2, requests[1], requests[5])
    assert_complete(*stored_participations(study))


@pytest.mark.parametrize("study", [Settings(exposure=0.2, forbid_repeats=True)], indirect=True)
@pytest.mark.parametrize("reloaded", [False, True])
def test_a_participant_whose_join_reply_was_lost_takes_part_once(study, open_browser, reloaded):
    visit, requests = open_browser(DESKTOP), []

    def intercept(route) -> None:
        requests.append(route.request.post_data)
        if len(requests) > 1 and not reloaded:
            return route.continue_()
        route.fetch()
        route.abort()

    visit.context.route("**/participants", intercept)
    visit.start("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    playwright.expect(visit.page.get_by_text("Trying again; your answers are safe")).to_be_visible()
    if reloaded:
        visit.page.reload()
        visit.page.get_by_role("button", name="Continue").click()
    visit.answer_pairs(range(TRIALS), visit.click)
    playwright.expect(visit.page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert len(set(requests)) == 1
    assert_complete(*stored_participations(study))


def test_images_disappear_after_their_exposure_and_return_with_feedback_in_practice_only(open_browser):
    visit = open_browser(DESKTOP)
    visit.start()
    images = visit.page.locator(".frame img")

    def check_and_click(number: int) -> None:
        playwright.expect(images.first).to_be_hidden(timeout=2000)
        assert images.count() == 2
        visit.click(number)
        if number < 2:
            playwright.expect(
                visit.page.get_by_text(re.compile("^(Correct|Wrong): the (left|right) image is real"))
            ).to_be_visible()
            playwright.expect(images.first).to_be_visible()
        else:
            assert visit.page.locator(".feedback").inner_text() == ""

    visit.answer_pairs(range(4), check_and_click)


def test_the_page_is_accessible_to_screen_readers(open_browser):
    visit = open_browser(DESKTOP)
    visit.page.goto(visit.url)
    assert visit.page.locator("html").get_attribute("lang") == "en"
    visit.page.get_by_role("button", name="I agree").click()
    playwright.expect(visit.page.get_by_role("heading", name="How it works")).to_be_focused()
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    visit.page.locator(".side:enabled").first.wait_for()
    for name in ("The left image is real", "The right image is real"):
        playwright.expect(visit.page.get_by_role("button", name=name)).to_be_visible()
    playwright.expect(visit.page.get_by_role("progressbar", name="Progress")).to_be_visible()
    assert visit.page.locator(".feedback").get_attribute("role") == "status"


@pytest.mark.parametrize(
    "device",
    [
        DESKTOP,
        PHONE,
        PHONE | {"viewport": {"width": 320, "height": 568}},
        PHONE | {"viewport": {"width": 667, "height": 375}},
    ],
)
def test_a_pair_fits_on_the_screen(open_browser, device):
    visit = open_browser(device)
    visit.start()
    visit.page.locator(".side:enabled").first.wait_for()
    width, height = device["viewport"].values()
    for button in visit.page.locator(".side").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
        assert box["width"] >= 130


def test_on_a_shared_device_the_next_person_starts_a_new_participation(study, open_browser):
    visit = open_browser(DESKTOP)
    for _ in range(2):
        visit.start()
        visit.answer_pairs(range(TRIALS), visit.click)
        visit.assert_finished()
    assert len(stored_participations(study)) == 2


@pytest.mark.parametrize("study", [Settings(exposure=0.2, forbid_repeats=True)], indirect=True)
def test_forbidden_repeats_are_refused(study, open_browser):
    visit = open_browser(DESKTOP)
    visit.start("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    visit.answer_pairs(range(TRIALS), visit.click)
    visit.assert_finished()
    visit.page.reload()
    visit.assert_finished()
    other = open_browser(DESKTOP)
    other.start("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    playwright.expect(other.page.get_by_text("You have already started this study")).to_be_visible()
    assert len(stored_participations(study)) == 1


COMPLETION = "https://app.prolific.com/submissions/complete?cc=C1"


@pytest.mark.parametrize("study", [Settings(exposure=0.2, completion_url=COMPLETION)], indirect=True)
def test_prolific_participants_are_redirected_to_the_completion_url(study, open_browser):
    visit = open_browser(PHONE)
    visit.context.route("https://app.prolific.com/**", lambda route: route.fulfill(body="paid"))
    visit.start("?PROLIFIC_PID=a1&STUDY_ID=s&SESSION_ID=t")
    visit.answer_pairs(range(TRIALS), visit.tap)
    visit.page.wait_for_url(COMPLETION)
    (participation,) = stored_participations(study)
    participant = participation.participant
    assert (participant.service, participant.person, participant.session) == ("prolific", "a1", "s:t")
    assert_complete(participation)


HIT = "hitId=H&turkSubmitTo=https://workersandbox.mturk.com"


@pytest.mark.parametrize("study", [Settings(exposure=0.2, mturk=True)], indirect=True)
def test_mturk_workers_see_a_preview_and_submit_the_hit(study, open_browser):
    visit, submitted = open_browser(DESKTOP), []

    def submit(route) -> None:
        submitted.append(route.request.post_data)
        route.fulfill(body="thanks")

    visit.context.route("https://workersandbox.mturk.com/mturk/externalSubmit", submit)
    visit.page.goto(f"{visit.url}/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&{HIT}")
    playwright.expect(visit.page.get_by_text("This is a preview")).to_be_visible()
    playwright.expect(visit.page.get_by_role("button", name="I agree")).to_be_disabled()
    visit.start(f"/?assignmentId=A&workerId=W&{HIT}")
    visit.answer_pairs(range(TRIALS), visit.press)
    visit.page.get_by_role("button", name="Submit the HIT").click()
    visit.page.get_by_text("thanks").wait_for()
    assert submitted == ["assignmentId=A&finished=yes"]
    visit.page.goto(f"{visit.url}/?assignmentId=B&workerId=W&{HIT}")
    # Another assignment is a new participation.
    playwright.expect(visit.page.get_by_role("button", name="I agree")).to_be_visible()
    (participation,) = stored_participations(study)
    participant = participation.participant
    assert (participant.service, participant.person, participant.session) == ("mturk", "W", "H:A")


def test_an_invalid_link_is_reported(open_browser):
    visit = open_browser(DESKTOP)
    visit.start("?PROLIFIC_PID=%3Cscript%3E")
    playwright.expect(visit.page.get_by_role("heading", name="Sorry")).to_be_visible()


def test_an_unknown_participant_is_told_so(open_browser):
    visit = open_browser(DESKTOP)
    refusal = {"status": 401, "json": {"detail": "The server does not know this participant."}}
    visit.context.route("**/answers", lambda route: route.fulfill(**refusal))
    visit.start()
    visit.answer_pairs(range(1), visit.click)
    playwright.expect(visit.page.get_by_text("The server does not know this participant.")).to_be_visible()
