"""Carry out units in several processes of this machine; one that dies, for whatever reason, is replaced.

A pool of `concurrent.futures` breaks as a whole when one process is killed, and does not say which unit that one had.
So each process has a pipe of its own, which delivers results and progress in order, and closes with the process.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import cv2
import torch

from ....core.errors import FoolbenchError
from ..networks.networks import Networks
from ..networks.setup import Loader, Setup
from ..work.progress import Progress
from ..work.schedule import Step
from ..work.units import Ended, Lost, Result, Unit
from .telling import Telling, Told
from .worker import Worker

_CONTEXT = multiprocessing.get_context("spawn")  # a fork of a process with threads or a GPU may hang


class Processes:
    """An executor with `count` worker processes, each with its own networks and progress bar; they share the GPUs."""

    def __init__(self, count: int, setup: Setup, progress: Progress) -> None:
        self.places = count
        self._setup, self._progress = setup, progress
        self._threads = max(1, (os.cpu_count() or 1) // count)
        self._workers: dict[int, _Process] = {}
        self._bars = [progress.place(f"worker {place + 1}") for place in range(count)]

    def idle(self) -> Collection[int]:
        return [place for place in range(self.places) if place not in self._workers or not self._workers[place].busy]

    def begin(self, place: int, unit: Unit, following: Step | None) -> None:
        if place not in self._workers:
            self._workers[place] = _Process(self._setup.at(place), self._threads)
        self._bars[place].describe(f"worker {place + 1}: {unit.title}")
        self._workers[place].begin(unit, following)

    def wait(self) -> tuple[int, Result | Ended | Lost]:
        """Wait for the next event, like `Executor.wait`, and show progress reports meanwhile."""
        while True:
            busy = {worker.pipe: place for place, worker in self._workers.items() if worker.busy}
            place = busy[wait(busy)[0]]  # pyright: ignore[reportArgumentType] (all of them are connections)
            event = self._workers[place].receive()
            if isinstance(event, Told):
                self._bars[place].at(int(event.done), int(event.total), event.unit)
                self._bars[place].describe(f"worker {place + 1}: {event.what.strip()}")
                continue
            if isinstance(event, Lost):
                del self._workers[place]
            return place, event

    def close(self) -> None:
        for worker in self._workers.values():
            worker.kill()
        for bar in self._bars:
            self._progress.remove(bar)


class _Process:
    """A worker process, as the executor sees it."""

    def __init__(self, setup: Setup, threads: int) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self.busy = False
        self._process = _CONTEXT.Process(target=_work, args=(theirs, pickle.dumps(setup), threads))
        with _ignoring_interrupts():
            self._process.start()
        theirs.close()  # so that this end notices when the worker closes its own

    def begin(self, unit: Unit, following: Step | None) -> None:
        self.busy = True
        with suppress(OSError):  # the process has ended: `receive` returns Lost
            self.pipe.send_bytes(pickle.dumps((unit, following)))

    def receive(self) -> Any:
        """Return the next event, Lost if the process has ended. Raises an error after which the worker cannot go on."""
        try:
            event = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):  # also in the middle of a message
            self.kill()
            return Lost(_epitaph(self._process.exitcode or 0))
        if isinstance(event, BaseException):
            raise event
        self.busy = not isinstance(event, Ended)
        return event

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Return a context whose new processes ignore Ctrl-C, which is for the parent, even while they still import."""
    if threading.current_thread() is not threading.main_thread():  # the only one that may set handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _epitaph(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}" + (" (by the system, where memory ran out)" * (code == -9))


def _work(pipe: Connection, pickled: bytes, threads: int) -> None:
    """The main function of a worker process, which ends with its parent, in whatever way that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads)
    cv2.setNumThreads(torch.get_num_threads())

    def send(event: Any) -> None:
        pipe.send_bytes(pickle.dumps(event))

    try:
        setup: Setup = pickle.loads(pickled)
        setup.begin()
        worker = Worker(setup, Networks(setup, Loader(setup), Telling(send)), Telling(send))
        while True:
            unit, following = pickle.loads(pipe.recv_bytes())
            for result in worker.carry_out(unit, following):
                send(result)
            send(Ended())
    except EOFError:
        return
    except FoolbenchError as error:
        send(error)
    except Exception:  # noqa: BLE001 (a bug in foolbench, to be raised in the run's process)
        send(RuntimeError(traceback.format_exc()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
