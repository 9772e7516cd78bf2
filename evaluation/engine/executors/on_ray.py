"""Carries units out on the machines of a Ray cluster (https://www.ray.io). One that is lost is replaced elsewhere.

Each worker is an actor, which keeps its networks from one unit to the next. What units need and make are files; they go
through Ray's object store, for workers need not see the folder of the run.
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
from .shipping import Scratch, Shipping, remove_dead
from .telling import Telling, Told
from .worker import Worker

if TYPE_CHECKING:
    from .machines import Machines

PATIENCE = 5.0
"""Seconds that workers have to remove what they leave behind."""
FAILED_STARTS = 3
"""So often in a row may all workers end before they can begin: then all would. One machine may take many with it."""


class OnRay:
    """A worker for each GPU or processor of the cluster, or as many as are asked for."""

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
        """Waits for a first worker where none has begun."""
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
            if isinstance(event, Told):
                self._bars[place].at(int(event.done), int(event.total), event.unit)
                self._bars[place].describe(f"worker {place + 1}: {event.what.strip()}")
            elif isinstance(event, dict):
                for name, content in event.items():
                    self._shipping.keep(name, content)
            else:
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
        """Remove the folders of workers that were killed at work, on this machine; on another the next worker does."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and (left := [folder for folder in self._folders if folder.is_dir()]):
            for folder in left:
                remove_dead(folder)  # once its process is gone
            time.sleep(0.05)

    def _start(self, place: int) -> None:
        """Where there is room, or as soon as there is."""
        remote: Any = ray.remote(_Actor)  # it is typed for functions only
        actor = remote.options(num_cpus=1, num_gpus=1 if self._gpus else 0).remote()
        self._actors[place] = actor
        self._starting[actor.begin.remote(self._setup, Path.cwd())] = place

    def _started(self, begun: Any) -> None:
        """Raises ConfigError where workers cannot begin."""
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
        """Of a unit. Raises what the worker cannot go on from."""
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
        """In the object store; once for all units what many of them need."""
        if name.startswith("adversarial/"):
            return ray.put(path.read_bytes())
        if name not in self._shared:
            self._shared[name] = ray.put(path.read_bytes())
        return self._shared[name]


class _Actor:
    """One worker. Its units are carried out in a thread, so that it can tell how far they are."""

    def begin(self, setup: Setup, beside: Path) -> tuple[str, Path]:
        """Relative paths in the recipe are meant as where the run was begun, if that is here, too.

        Returns the name of the machine, and the worker's folder there.
        """
        if beside.is_dir():
            os.chdir(beside)
        self._scratch = Scratch.begin(Path(tempfile.gettempdir()))
        self._events = queue.SimpleQueue[Any]()
        setup = replace(setup, folder=self._scratch.folder, cache=None)
        setup.begin()
        steps = Telling(self._events.put)
        self._worker = Worker(setup, Networks(setup, Loader(setup), steps), steps)
        return ray.get_runtime_context().get_node_id(), self._scratch.folder

    def carry_out(self, unit: Unit, following: Step | None, files: Mapping[str, Any]) -> Iterator[Any]:
        """What is told and what comes of it, what was made before that; then that it has ended."""
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
        except BaseException:  # noqa: BLE001 (a fault of foolbench, to be raised where it is seen)
            self._events.put(RuntimeError(traceback.format_exc()))

    def leave(self) -> None:
        self._scratch.leave()


def _connect(address: str | None) -> bool:
    """Whether it is this process that is to leave. Raises ConfigError where there is no such cluster."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that this runs
    alone: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    handler = signal.getsignal(signal.SIGTERM)  # which Ray takes
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
    """What is known of how a worker has ended."""
    why = re.search(r"because (.+?)[.\n]", str(error))
    return f"ended because {why[1]}" if why else f"ended: {one_line(error)}"
