"""Carry out units on the machines of a Ray cluster (https://www.ray.io); a worker that is lost is replaced.

Each worker is an actor, which keeps its networks from one unit to the next. Units read and write files and entries of
the cache; these go through Ray's object store, because workers need not see the folders of the run and of the cache.
"""

import logging
import os
import queue
import re
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from ....core.errors import ConfigError, FoolbenchError, one_line
from ..networks.networks import Networks
from ..networks.prepare import Prepared
from ..networks.setup import Loader, Setup
from ..work.progress import Progress
from ..work.schedule import Step
from ..work.units import Ended, Lost, Result, Unit
from .borrowed_cache import Asked, BorrowedCache, Made
from .shipping import Scratch, Shipping, remove_dead
from .telling import Telling, Told
from .worker import Worker

if TYPE_CHECKING:
    from .machines import Machines

PATIENCE = 5.0
"""Seconds that workers have, at the end, to remove their folders."""
FAILED_STARTS = 3
"""Failed starts in a row, per place, after which a run stops: one lost machine may account for many of them."""


class OnRay:
    """An executor with a worker for each GPU of the cluster, or each CPU core without any, or as many as requested."""

    def __init__(self, machines: "Machines", prepared: Prepared, setup: Setup, progress: Progress) -> None:
        self._own = _connect(machines.address)
        there = ray.cluster_resources()
        self._gpus = machines.gpus and there.get("GPU", 0) >= 1
        self.places = machines.workers or max(1, int(there.get("GPU" if self._gpus else "CPU", 1)))
        self._setup = replace(setup, device="cuda" if self._gpus else "cpu")
        self._shipping, self._progress = Shipping(prepared, setup, progress), progress
        self._shared: dict[str, Any] = {}
        self._actors: dict[int, Any] = {}
        self._starting: dict[Any, int] = {}
        self._busy: dict[Any, int] = {}
        self._nodes: dict[int, str] = {}
        self._folders: set[Path] = set()
        self._failed_starts = 0
        self._bars = [progress.place(f"worker {place + 1}: waits for a machine") for place in range(self.places)]
        for place in range(self.places):
            self._start(place)

    def idle(self) -> Collection[int]:
        """Return the places that can take a unit; waits for a first worker if none has started."""
        while not self._busy and len(self._starting) == self.places:
            self._started(ray.wait(list(self._starting))[0][0])
        away = {*self._starting.values(), *self._busy.values()}
        return [place for place in range(self.places) if place not in away]

    def begin(self, place: int, unit: Unit, following: Step | None) -> None:
        self._bars[place].describe(f"worker {place + 1}: {unit.title}")
        files = {name: self._put(name, path) for name, path in self._shipping.needs(unit).items()}
        carry_out = self._actors[place].carry_out.options(num_returns="streaming")
        self._busy[carry_out.remote(unit, following, files)] = place

    def wait(self) -> tuple[int, Result | Ended | Lost] | None:
        while True:
            (ready,), _ = ray.wait([*self._busy, *self._starting])
            if ready in self._starting:
                self._started(ready)
                return None
            place, event = self._busy[ready], self._next(ready)
            match event:
                case Told():
                    self._bars[place].at(int(event.done), int(event.total), event.unit)
                    self._bars[place].describe(f"worker {place + 1}: {event.what.strip()}")
                case dict():
                    for name, content in event.items():
                        self._shipping.keep(name, content)
                        self._shared.pop(name, None)  # made anew, because it was damaged
                case Asked(name):
                    self._actors[place].answer.remote(name, self._shipping.lend(name))
                case Made(name, content):
                    self._shipping.take(name, content)
                case _:
                    return place, event

    def close(self) -> None:
        away = {*self._starting.values(), *self._busy.values()}
        leaving = [actor.leave.remote() for place, actor in self._actors.items() if place not in away]
        ray.wait(leaving, num_returns=len(leaving), timeout=PATIENCE) if leaving else None
        for actor in self._actors.values():
            ray.kill(actor)
        for bar in self._bars:
            self._progress.remove(bar)
        if self._own:
            ray.shutdown()
        self._sweep()

    def _sweep(self) -> None:
        """Remove the folders of workers killed on this machine; on another machine its next worker does that."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and (left := [folder for folder in self._folders if folder.is_dir()]):
            for folder in left:
                remove_dead(folder)  # succeeds once its process has ended
            time.sleep(0.05)

    def _start(self, place: int) -> None:
        """Start a worker, as soon as the cluster has room for it."""
        remote: Any = ray.remote(_Actor)  # it is typed for functions only
        together = 2  # answers come while a unit is carried out
        actor = remote.options(num_cpus=1, num_gpus=1 if self._gpus else 0, max_concurrency=together).remote()
        self._actors[place] = actor
        self._starting[actor.begin.remote(self._setup, Path.cwd())] = place

    def _started(self, begun: Any) -> None:
        """Note that a worker has started, or replace it. Raises ConfigError if too many starts fail in a row."""
        place = self._starting.pop(begun)
        try:
            self._nodes[place], folder = ray.get(begun)
            self._folders.add(folder)
            self._failed_starts = 0
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            self._failed_starts += 1
            if self._failed_starts == FAILED_STARTS * self.places:
                raise ConfigError(f"Ray's workers end before they begin: the last one {_epitaph(error)}.") from None
            self._start(place)

    def _next(self, results: Any) -> Any:
        """Return the next event of a unit. Raises an error after which the worker cannot go on."""
        place = self._busy[results]
        try:
            event = ray.get(next(results))
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            del self._busy[results]
            self._start(place)
            away = isinstance(error, ActorUnavailableError) or self._nodes[place] in _dead_nodes()
            return Lost(_epitaph(error), suspect=not away)
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, Ended):
            del self._busy[results]
        return event

    def _put(self, name: str, path: Path) -> Any:
        """Put a file in the object store and return its reference; files that several units need are put there once."""
        if name.startswith("adversarial/"):
            return ray.put(path.read_bytes())
        if name not in self._shared:
            self._shared[name] = ray.put(path.read_bytes())
        return self._shared[name]


class _Actor:
    """A worker, which carries out units in a thread, so that it can report their progress."""

    def begin(self, setup: Setup, beside: Path) -> tuple[str, Path]:
        """Prepare the worker, and return the id of its Ray node and its folder there.

        Relative paths in the recipe are relative to `beside`, the run's working directory, if it exists here.
        """
        if beside.is_dir():
            os.chdir(beside)
        self._scratch = Scratch.begin(Path(tempfile.gettempdir()))
        self._events = queue.SimpleQueue[Any]()
        self._cache = None
        if setup.shared is not None:
            self._cache = BorrowedCache(self._scratch.folder, send=self._events.put)
        setup = replace(setup, folder=self._scratch.folder, cache=None, shared=self._cache)
        setup.begin()
        steps = Telling(self._events.put)
        self._worker = Worker(setup, Networks(setup, Loader(setup), steps), steps)
        return ray.get_runtime_context().get_node_id(), self._scratch.folder

    def carry_out(self, unit: Unit, following: Step | None, files: Mapping[str, Any]) -> Iterator[Any]:
        """Yield progress reports and results, each result after the files made for it; then Ended or an exception."""
        for name, content in files.items():
            if not self._scratch.has(name):
                self._scratch.unpack(name, ray.get(content))
        threading.Thread(target=self._work, args=(unit, following), daemon=True).start()
        while True:
            event = self._events.get()
            made = {} if isinstance(event, Told) else self._scratch.made()
            if made:
                yield made
            if isinstance(event, Ended | BaseException):
                self._scratch.tidy()
                yield event
                return
            yield event

    def _work(self, unit: Unit, following: Step | None) -> None:
        try:
            for result in self._worker.carry_out(unit, following):
                self._events.put(result)
            self._events.put(Ended())
        except FoolbenchError as error:
            self._events.put(error)
        except BaseException:  # noqa: BLE001 (a bug in foolbench, to be raised in the run's process)
            self._events.put(RuntimeError(traceback.format_exc()))

    def answer(self, name: str, content: bytes | None) -> None:
        """Hand over a cache entry that the worker has asked for, or None if there is none."""
        assert self._cache is not None
        self._cache.answer(name, content)

    def leave(self) -> None:
        self._scratch.leave()


def _connect(address: str | None) -> bool:
    """Connect to Ray, and return whether this process must disconnect. Raises ConfigError if there is no cluster."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage statistics are sent
    alone: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    handler = signal.getsignal(signal.SIGTERM)  # Ray replaces it
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **alone)
    except (RayError, ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"Expected a Ray cluster at {address or 'this machine'}, but: {one_line(error)}.") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
    return True


def _dead_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if not node["Alive"]}


def _epitaph(error: RayError) -> str:
    """Describe how a worker ended, as far as Ray says."""
    why = re.search(r"because (.+?)[.\n]", str(error))
    return f"ended because {why[1]}" if why else f"ended: {one_line(error)}"
