"""A fit in the background: stop, cancel, await, interrupt; always the best so far, soon, and no thread stays."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pandas as pd
import pytest
import torch

import sr_accessor as sr
from sr_accessor.errors import OptionError, SymRegWarning, UnknownNameError

#: Seconds until a stopped fit must have its result, on a machine that may be busy with other things.
SOON = 2.0


def table(count=60):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.uniform(0.5, 3, (count, 3)), columns=["x", "z", "w"])
    noise = 0.05 * random.normal(size=count)
    return frame.assign(y=np.sin(frame.x * frame.z) + frame.z**1.7 / (frame.x + 0.3) * np.exp(-0.2 * frame.w) + noise)


def start(**options):
    return table().symreg.fit("y", background=True, **{"timeout": 60, "random_state": 0, "progress": False} | options)


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("symreg")]


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = torch.get_num_threads(), torch.get_default_dtype()
    yield
    assert not threads() and (torch.get_num_threads(), torch.get_default_dtype()) == before


def until(condition, seconds=30):
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end
        time.sleep(0.01)


def test_stop_gives_the_best_so_far_soon():
    handle = start()
    assert handle.running() and not handle.done() and threads()
    until(lambda: handle.best_so_far is not None)
    assert "running for" in repr(handle) and "y = " in repr(handle)
    for _ in range(2):  # somewhere inside a round
        time.sleep(0.3)
    began = time.perf_counter()
    handle.stop()
    result = handle.result()
    assert time.perf_counter() - began < SOON
    assert result.status == "interrupted" and len(result) > 1 and handle.done() and not handle.running()
    assert repr(handle) == f"FitHandle(done: {result.best})" and str(handle.best_so_far) == str(result.best)
    assert handle.result() is result and handle.exception() is None


def test_stop_is_as_soon_with_many_rows():
    random = np.random.default_rng(0)
    many = pd.DataFrame(random.uniform(1, 5, (200_000, 3)), columns=["a", "b", "c"])
    many = many.assign(y=many.a * np.exp(-many.b / 2) + np.sin(many.a * many.c))
    handle = many.symreg.fit("y", background=True, timeout=60, random_state=0, progress=False)
    until(lambda: handle.best_so_far is not None)
    began, worked = time.perf_counter(), time.process_time()
    handle.stop()
    result = handle.result()
    assert time.process_time() - worked < 1 and time.perf_counter() - began < SOON
    assert result.status == "interrupted" and result.observations.count > 150_000


def test_stop_at_once_leaves_the_mean():
    handle = start()
    handle.stop()
    result = handle.result(SOON)
    assert result.status == "interrupted" and [law.complexity for law in result] == [1]


def test_same_front_in_the_background():
    options = {"max_rounds": 2, "random_state": 5, "progress": False}
    here, there = table().symreg.fit("y", **options), start(**options)
    pd.testing.assert_frame_equal(here.front, there.result().front, check_exact=True)


def test_waiting_may_end_before_the_fit():
    handle = start()
    with pytest.raises(TimeoutError, match="the fit goes on"):
        handle.result(0.05)
    assert handle.running() and not handle.cancelled()
    assert handle.cancel() and handle.cancelled() and handle.done() and repr(handle) == "FitHandle(cancelled)"
    with pytest.raises(CancelledError):
        handle.result()


def test_done_callbacks_get_the_handle():
    seen = []
    handle = start(max_rounds=1)
    handle.add_done_callback(seen.append)
    handle.result()
    handle.add_done_callback(seen.append)
    assert seen == [handle, handle] and not handle.cancel()


def test_a_handle_can_be_awaited():
    async def both():
        one, two = start(max_rounds=1), start(max_rounds=1, random_state=1)
        waiting = asyncio.gather(one, two)
        beats = 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            beats += 1
        return await waiting, beats

    results, beats = asyncio.run(both())
    assert [r.status for r in results] == ["rounds", "rounds"] and beats > 5


def test_a_cancelled_task_stops_its_fit():
    async def impatient(handle):
        async with asyncio.timeout(0.2):
            await handle

    handle = start()
    with pytest.raises(TimeoutError):
        asyncio.run(impatient(handle))
    until(lambda: not threads(), SOON)
    assert handle.cancelled()


def test_errors_are_raised_where_the_result_is_asked_for():
    handle = start(noise="gausian")
    assert isinstance(handle.exception(), UnknownNameError)
    with pytest.raises(UnknownNameError, match="did you mean 'gaussian'"):
        handle.result()
    with pytest.raises(OptionError, match="one table"):
        table().assign(g=1).groupby("g").pipe(sr.fit, "y", background=True)


def test_remarks_are_told_once_to_whoever_asks():
    frame = table().assign(one=1.0)
    frame["sigma"] = 1e-9
    handle = frame.symreg.fit("y", ["x"], sigma="sigma", background=True, max_rounds=1, progress=False)
    with pytest.warns(SymRegWarning, match="CHI2") as told:
        handle.result()
    assert all(warning.filename == __file__ for warning in told)
    handle.result()


def test_an_interrupt_while_waiting_stops_the_fit():
    timer = threading.Timer(0.8, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.perf_counter()
    result = table().symreg.fit("y", timeout=60, random_state=0, progress=False)
    assert result.status == "interrupted" and time.perf_counter() - began < 0.8 + SOON
    timer.join()


def test_no_round_goes_on_long_after_the_timeout(monkeypatch):
    from sr_accessor.search.rounds import Rounds
    from sr_accessor.stopping import Stopped, look

    marks = []

    def endless(rounds, state):
        if state.round == 0:
            return step(rounds, state)
        marks.append(time.perf_counter())
        try:
            while True:
                look()
        except Stopped:
            marks.append(time.perf_counter())
            raise

    step = Rounds.step
    monkeypatch.setattr(Rounds, "step", endless)
    began = time.perf_counter()
    result = table().symreg.fit("y", timeout=5, random_state=0, progress=False)
    assert result.status == "timeout" and result.provenance["rounds"] == 1
    entered, left = marks
    assert 5.4 < left - began and left - max(entered, began + 5.5) < 0.5


def test_a_program_may_end_while_a_fit_runs():
    code = """
import numpy as np, pandas as pd, sr_accessor, time
x = np.linspace(1, 2, 50)
frame = pd.DataFrame({"x": x, "y": np.sin(x) ** x + 1e-3 * np.cos(99 * x)})
handle = frame.symreg.fit("y", background=True, timeout=600)
time.sleep(0.5)
print("left")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
