"""Networks that ship with foolbench: how each is built and trained, and where its weights are."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import WeightsError
from ..core.files import write_whole, writing
from ..core.model import Model
from ..core.registry import register_model
from ..core.task import Task
from .training import Training


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One network of the zoo, whose `folder` holds its weights NET.safetensors and its model card NET.json.

    Its name is DATASET:NET; it is trained on `dataset` or, for another task, on the data set `learns_from`. If given,
    `finishing` is a second phase of training that continues from the weights of the first.
    """

    dataset: str
    net: str
    build: Callable[[], nn.Module]
    task: Task
    shape: tuple[int, int, int]
    mean: float
    std: float
    features: tuple[str, ...]
    class_names: tuple[str, ...]
    training: Training
    training_images: int
    folder: Path
    learns_from: str | None = None
    finishing: Training | None = None

    @property
    def name(self) -> str:
        return f"{self.dataset}:{self.net}"

    @property
    def phases(self) -> tuple[Training, ...]:
        return (self.training,) if self.finishing is None else (self.training, self.finishing)

    @property
    def weights(self) -> Path:
        return self.folder / f"{self.net}.safetensors"

    def wrap(self, net: nn.Module) -> Model:
        channels = self.shape[0]
        return Model(
            net,
            task=self.task,
            mean=[self.mean] * channels,
            std=[self.std] * channels,
            features=self.features,
            shape=self.shape,
            name=self.name,
            channels_last=True,
            class_names=self.class_names,
        )

    def normalize(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def load(self) -> Model:
        """Load the trained network; raises WeightsError if the file is missing, corrupt or of another architecture."""
        net = self.build()
        load_weights(net, self.weights)
        self._check_card()
        return self.wrap(net)

    def _check_card(self) -> None:
        path = self.weights.with_suffix(".json")
        try:
            expected = json.loads(path.read_text(encoding="utf-8"))["sha256"]
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(f"Expected the model card of {self.name} at {path}, but: {error!r}.") from None
        if hashlib.sha256(self.weights.read_bytes()).hexdigest() != expected:
            raise WeightsError(f"{self.weights} is not the file that its model card {path.name} describes; reinstall.")

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the training loss, averaged over a batch."""
        if self.task.class_scores is not None:
            return F.cross_entropy(outputs, y)  # the task's own is in float64, for attacks
        return self.task.loss(outputs, y).mean()

    def save(self, net: nn.Module, command: str, clean: float, device: str) -> None:
        """Write the weights and the model card, each atomically; raises OutputError if they cannot be written.

        `clean` is the main metric on clean images, as a share of 1; `command` and `device` are noted in the card.
        """
        weights = save({name: tensor.contiguous() for name, tensor in net.state_dict().items()})
        with writing(self.weights):
            write_whole(self.weights, weights)
        card = {
            "name": self.name,
            "command": command,
            "device": device,
            "training": asdict(self.training) | {"images": self.training_images},
            **({} if self.finishing is None else {"finishing": asdict(self.finishing)}),
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
            f"clean_{next(iter(self.task.metrics))}_percent": round(100 * clean, 2),
            "sha256": hashlib.sha256(weights).hexdigest(),
        }
        path = self.weights.with_suffix(".json")
        with writing(path):
            write_whole(path, (json.dumps(card, indent=2) + "\n").encode())


def load_weights(net: nn.Module, path: Path) -> None:
    """Load a safetensors file into `net`; raises WeightsError if it is missing, corrupt or does not fit."""
    try:
        net.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise WeightsError(f"Expected weights at {path}, found no file; make them with `foolbench train`.") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"Expected a safetensors file at {path}, but it cannot be read: {error}.") from None
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise WeightsError(f"The weights at {path} are of another network than {type(net).__name__}: {first}") from None


def register(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Register every network under its name, for recipes and the command line; returns `entries`."""
    for entry in entries:
        register_model(entry.name)(_loader(entry))
    return entries


def _loader(entry: Entry) -> Callable[[], Model]:
    def load() -> Model:
        return entry.load()

    load.__doc__ = f"{entry.net}, trained on {entry.dataset} ({entry.training_images:,} images)."
    return load
