"""The reconciler machinery under virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import structlog

from openecs.control.loop import After, BackOff, Done, KeyQueue, Loop, Timing, rest_after
from openecs.control.virtual_time import VirtualTime
from openecs.errors import Retryable
from openecs.model.access_key import AccessKey
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State


@asynccontextmanager
async def running(*loops: Loop):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop.run()) for loop in loops]
        yield
        for task in tasks:
            task.cancel()


def make(reconcile, time: VirtualTime, **options) -> Loop:
    return Loop("test", reconcile, time.timing(jitter=1.0), **options)


class Recorder:
    """A reconciler that notes when it was called, and answers what it is told to."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.calls: list[tuple[str, float]] = []
        self.answers: dict[str, list] = {}

    def __call__(self, key: str):
        self.calls.append((key, self.time.time()))
        answers = self.answers.get(key)
        answer = answers.pop(0) if answers else Done()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def times(self, key: str) -> list[float]:
        return [time for called, time in self.calls if called == key]


async def test_a_key_that_is_queued_twice_is_reconciled_once():
    time = VirtualTime()
    recorder = Recorder(time)
    loop = make(recorder, time)
    for key in ("a", "b", "a", "a"):
        loop.enqueue(key)
    async with running(loop):
        await time.run_until(lambda: loop.reconciled == 2)
    assert [key for key, _ in recorder.calls] == ["a", "b"]


async def test_after_comes_again_and_an_earlier_change_replaces_the_timer():
    time = VirtualTime()
    recorder = Recorder(time)
    recorder.answers["a"] = [After(100.0), After(30.0), Done()]
    loop = make(recorder, time, resync_every=1e9)
    loop.enqueue("a")
    async with running(loop):
        await time.advance(40)
        loop.enqueue("a")
        await time.advance(1000)
    assert recorder.times("a") == [0.0, 40.0, 70.0]


async def test_a_change_during_the_wait_wakes_at_once():
    time = VirtualTime()
    recorder = Recorder(time)
    loop = make(recorder, time, resync_every=1e9)
    async with running(loop):
        await time.advance(5)
        loop.enqueue("late")
        await time.run_until(lambda: bool(recorder.calls))
    assert recorder.times("late") == [5.0]


async def test_retryable_backs_off_and_success_forgets_it():
    time = VirtualTime()
    recorder = Recorder(time)
    recorder.answers["a"] = [Retryable("engine restarts")] * 3 + [After(10.0), Retryable("again"), Done()]
    loop = make(recorder, time, resync_every=1e9, back_off=BackOff(first=1.0, maximum=60.0))
    loop.enqueue("a")
    async with running(loop):
        await time.advance(100)
    assert recorder.times("a") == [0.0, 1.0, 3.0, 7.0, 17.0, 18.0]
    assert (loop.retries, loop.bugs, loop.reconciled) == (4, 0, 2)


async def test_a_bug_in_one_key_is_logged_and_stops_nobody_else():
    time = VirtualTime()
    recorder = Recorder(time)
    recorder.answers["bad"] = [KeyError("oops")] * 100
    loop = make(recorder, time, resync_every=1e9, back_off=BackOff(first=1.0, maximum=8.0))
    loop.enqueue("bad")
    loop.enqueue("good")
    with structlog.testing.capture_logs() as logs:
        async with running(loop):
            await time.advance(30)
    assert recorder.times("good") == [0.0]
    assert recorder.times("bad") == [0.0, 1.0, 3.0, 7.0, 15.0, 23.0]
    assert loop.bugs == 6
    bugs = [entry for entry in logs if entry["event"] == "reconcile.bug"]
    assert len(bugs) == 6
    assert all(entry["exc_info"] for entry in bugs)


async def test_resync_brings_every_key_at_the_start_and_slowly_again():
    time = VirtualTime()
    recorder = Recorder(time)
    loop = make(recorder, time, resync=lambda: ("x", "y"), resync_every=600.0)
    async with running(loop):
        await time.advance(1300)
    assert recorder.times("x") == [0.0, 600.0, 1200.0]
    assert Counter(key for key, _ in recorder.calls) == {"x": 3, "y": 3}


async def test_coroutine_reconcilers_are_awaited():
    time = VirtualTime()
    seen: list[str] = []

    async def reconcile(key: str):
        await asyncio.sleep(0)
        seen.append(key)
        return Done()

    loop = make(reconcile, time)
    loop.enqueue("a")
    async with running(loop):
        await time.run_until(lambda: seen == ["a"])


async def test_watch_enqueues_what_committed_changes_mean():
    time = VirtualTime()
    recorder = Recorder(time)
    loop = make(recorder, time)
    journal = MemoryJournal()
    state = State(journal)
    journal.start(state.store.journal_reached, state.store.journal_failed)
    loop.watch(state.store, "access_key", lambda notice: (f"{notice.key}!",))
    key = AccessKey(access_key_id="K", sealed_secret="s", principal_arn="p", kind="root", created_at=0.0)
    async with running(loop):
        with pytest.raises(KeyError), state.transaction() as tx:
            tx.put("not a record")
        with state.transaction() as tx:
            tx.put(key)
        await time.run_until(lambda: loop.reconciled == 1)
    assert [key for key, _ in recorder.calls] == ["K!"]


async def test_a_key_whose_turn_was_long_rests_while_others_go_on():
    time = VirtualTime()
    turns: list[tuple[str, float]] = []
    #: What the turns themselves add to virtual time.
    spent = 0.0

    def reconcile(key: str):
        nonlocal spent
        turns.append((key, time.time()))
        if key == "large":
            spent += 0.01
            loop.enqueue("large")  # Its own change, and before its rest has begun.
        return Done()

    loop = Loop("test", reconcile, Timing(lambda: time.time() + spent, time.sleep, lambda: 1.0))
    loop.enqueue("large")
    async with running(loop):
        await time.run_until(lambda: len(turns) == 1)
        for _ in range(20):
            loop.enqueue("large")
            loop.enqueue("small")
            await asyncio.sleep(0)
        assert [key for key, _ in turns].count("large") == 1
        assert [key for key, _ in turns].count("small") > 1
        await time.run_until(lambda: [key for key, _ in turns].count("large") == 3)
    started = [at for key, at in turns if key == "large"]
    assert [round(b - a, 3) for a, b in pairwise(started)] == [0.09, 0.09]


@pytest.mark.parametrize("turn", [0.0001, 0.001, 0.01, 0.03, 0.2, 1.0, 20.0])
@pytest.mark.parametrize("failure", [None, Retryable("the engine restarts"), KeyError("oops")])
async def test_no_key_takes_more_than_its_share_however_often_it_is_asked_for(turn: float, failure: Exception | None):
    """Every look of the other key asks for the busy one again, as changes of its tasks do."""
    time = VirtualTime()
    spent = 0.0
    turns = 0

    def reconcile(key: str):
        nonlocal spent, turns
        loop.enqueue("busy")
        if key == "busy":
            spent += turn
            turns += 1
            if failure is not None:
                raise failure
        return After(turn / 4) if key == "other" else Done()

    loop = Loop("test", reconcile, Timing(lambda: time.time() + spent, time.sleep, lambda: 1.0))
    loop.enqueue("busy")
    loop.enqueue("other")
    with structlog.testing.capture_logs():
        async with running(loop):
            await time.advance(100 * turn)
    now = time.time() + spent
    share = spent / now
    # A tenth of a core; long turns have more, lest changes wait long for the next one, and never
    # more than half.
    assert share <= (0.1 if turn * 9 <= 0.25 else 0.5) * (1 + 1 / turns) or turn * 9 < 0.002
    assert turns >= 5


def test_a_rest_is_nine_turns_or_a_quarter_of_a_second_or_as_long_as_the_turn():
    assert [rest_after(turn) for turn in (0.0002, 0.01, 0.1, 0.25, 3.0)] == [0.0, 0.09, 0.25, 0.25, 3.0]


async def test_a_key_whose_turns_are_short_never_rests():
    time = VirtualTime()
    recorder = Recorder(time)
    loop = make(recorder, time)
    async with running(loop):
        for number in range(1, 6):
            loop.enqueue("a")
            await time.run_until(lambda: loop.reconciled == number)  # noqa: B023 -- awaited in this turn
    assert recorder.times("a") == [0.0] * 5


def test_back_off_doubles_up_to_its_maximum_and_is_spread():
    back_off = BackOff(first=0.2, maximum=60.0)
    assert [back_off.delay(n, 1.0) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert back_off.delay(1000, 1.0) == 60.0
    assert back_off.delay(1000, 0.0) == 30.0


def test_the_newest_timer_of_a_key_counts():
    queue = KeyQueue()
    queue.add_at("a", 10.0)
    queue.add_at("a", 20.0)
    assert queue.pop(15.0) is None
    assert queue.next_due() == 20.0
    assert queue.pop(20.0) == "a"
    assert queue.next_due() is None


def test_timers_that_were_replaced_do_not_pile_up():
    queue = KeyQueue()
    for number in range(10_000):
        queue.add_at(f"key {number % 10}", 1000.0 + number)
        queue.add_at("same", 5.0)
    assert len(queue._timers) <= 2 * 11 + 64
    assert queue.pop(5.0) == "same"
    assert [queue.pop(1e9) for _ in range(11)] == [*(f"key {number}" for number in range(10)), None]


def test_keys_come_in_the_order_in_which_they_were_queued_first():
    queue = KeyQueue()
    queue.add_at("c", 1.0)
    for key in ("b", "a", "b"):
        queue.add(key)
    assert [queue.pop(2.0) for _ in range(4)] == ["b", "a", "c", None]
    queue.add("b")
    assert (len(queue), queue.pop(2.0)) == (1, "b")
