"""The timeline, the schedule of pictures and the time budget, on a clock that the tests turn."""

import numpy as np
import pytest

from endogs.live.budget import TimeBudget
from endogs.live.schedule import SETTLED, Schedule
from endogs.live.timeline import Timeline
from endogs.live.viewpoint import Orbit


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def timeline(clock):
    return Timeline(np.array([0.0, 0.1, 0.2, 0.3, 0.4]), clock)


def test_time_runs_at_the_chosen_speed_and_pauses(timeline, clock):
    clock.seconds += 5
    assert timeline.now() == 0
    assert not timeline.playing
    timeline.play()
    clock.seconds += 0.1
    assert timeline.now() == pytest.approx(0.1)
    timeline.speed = 0.5
    clock.seconds += 0.2
    assert timeline.now() == pytest.approx(0.2)
    timeline.pause()
    clock.seconds += 9
    assert timeline.now() == pytest.approx(0.2)


def test_the_end_shows_the_last_frame_as_long_as_any_other_then_begins_anew(timeline, clock):
    timeline.play()
    clock.seconds += 0.45
    assert (timeline.now(), timeline.frame) == (pytest.approx(0.4), 4)
    clock.seconds += 0.1
    assert timeline.now() == pytest.approx(0.05)
    clock.seconds += 5.0  # ten times round
    assert timeline.now() == pytest.approx(0.05)


def test_without_looping_it_stops_at_the_end_and_plays_again_from_the_beginning(timeline, clock):
    timeline.loop = False
    timeline.play()
    clock.seconds += 3
    assert timeline.now() == pytest.approx(0.4)
    assert not timeline.playing
    timeline.play()
    assert timeline.now() == pytest.approx(0.0)
    assert timeline.playing


def test_steps_go_frame_by_frame_and_round_the_ends_only_when_looping(timeline):
    timeline.seek(0.17)
    timeline.step(1)
    assert timeline.now() == pytest.approx(0.3)
    timeline.step(-3)
    assert timeline.now() == pytest.approx(0.0)
    timeline.step(-1)
    assert timeline.now() == pytest.approx(0.4)
    timeline.loop = False
    timeline.step(1)
    assert timeline.now() == pytest.approx(0.4)


def test_scrubbing_outside_the_clip_stays_inside():
    timeline = Timeline(np.array([1.0, 2.0]))
    timeline.seek(9.0)
    assert timeline.now() == 2.0
    timeline.seek(-1.0)
    assert timeline.now() == 1.0


def test_a_single_frame_has_nothing_to_play_and_no_frame_is_an_error():
    timeline = Timeline(np.array([0.0]))
    timeline.play()
    assert not timeline.playing
    timeline.step(1)
    assert timeline.now() == 0
    with pytest.raises(ValueError, match="one frame"):
        Timeline(np.array([]))
    with pytest.raises(ValueError, match="speed"):
        timeline.speed = 0


# The schedule

ORBIT = Orbit((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.8)


def test_only_the_newest_wish_of_a_browser_is_drawn(clock):
    schedule = Schedule(clock)
    for width in (100, 200, 300):
        schedule.update(1, (width, 100), ORBIT)
    wish = schedule.next()
    assert wish is not None
    assert (wish.canvas, wish.final) == ((300, 100), False)
    schedule.done(wish)
    assert schedule.next() is None


def test_a_wish_that_changed_while_it_was_drawn_is_drawn_again(clock):
    schedule = Schedule(clock)
    schedule.update(1, (100, 100), None)
    wish = schedule.next()
    schedule.update(1, (100, 100), ORBIT)
    schedule.done(wish)
    assert schedule.next().look == ORBIT


def test_at_rest_the_picture_is_drawn_once_more_at_full_quality(clock):
    schedule = Schedule(clock)
    schedule.update(1, (100, 100), None)
    schedule.done(schedule.next())
    assert schedule.next() is None
    clock.seconds += SETTLED
    assert schedule.next(running=True) is None, "while playing the next picture is about to come"
    final = schedule.next()
    assert final.final
    schedule.done(final)
    assert schedule.next() is None
    schedule.all_changed()
    assert not schedule.next().final


def test_browsers_take_turns_and_those_that_left_are_forgotten(clock):
    schedule = Schedule(clock)
    for browser in (3, 7):
        schedule.update(browser, (100, 100), None)
    served = []
    for _ in range(4):
        schedule.all_changed()
        wish = schedule.next()
        served.append(wish.browser)
        schedule.done(wish)
    assert served == [3, 7, 3, 7]
    schedule.remove(7)
    schedule.all_changed()
    wish = schedule.next()
    assert wish.browser == 3
    schedule.remove(3)
    schedule.done(wish)
    assert schedule.next() is None
    assert len(schedule) == 0


def test_a_browser_without_a_window_is_not_drawn_for(clock):
    schedule = Schedule(clock)
    schedule.update(1, (0, 0), None)
    assert schedule.next() is None


# The budget


@pytest.mark.parametrize("cost", [0.002, 0.03, 1.5])
def test_looking_takes_no_more_than_its_share_of_the_fit(clock, cost):
    budget, begin, drawn = TimeBudget(0.07, 0.25, clock), clock.seconds, 0
    while clock.seconds - begin < 300:
        clock.seconds += 0.015  # a step of the fit
        if budget.allows():
            with budget.working():
                clock.seconds += cost
            drawn += 1
    total = clock.seconds - begin
    assert budget.spent == pytest.approx(drawn * cost)
    assert budget.spent <= 0.07 * total + 0.25 + cost
    assert budget.spent >= 0.06 * total, "what is allowed is used"


def test_a_pause_neither_earns_nor_costs(clock):
    budget = TimeBudget(0.1, 100.0, clock)
    assert budget.allows()
    with budget.working():
        clock.seconds += 5
    clock.seconds += 1000
    budget.forget(1000)
    assert not budget.allows()
