"""A data set that breaks a promise is told which, what was seen, and what to do."""

import pytest
import torch
from foolbench.core import ConfigError
from foolbench.evaluation.conformance import check
from foolbench.tasks import Depth, Recognition


class Good:
    """Twenty grey images; the training images are others."""

    name = "grey"
    task = Recognition(classes=4)
    shape = (1, 6, 5)
    fingerprint = "0123"
    labels = torch.arange(20) % 4

    def __len__(self):
        return 20

    def load(self, samples):
        levels = torch.tensor(list(samples))
        return (levels / 20).reshape(-1, 1, 1, 1).expand(-1, *self.shape).contiguous(), levels % 4

    def training(self, count, advance=lambda images: None):
        levels = torch.tensor(sorted(set(range(256)) - {round(255 * k / 20) for k in range(20)})[:count])
        return levels.to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, *self.shape), levels % 4


class Nameless(Good):
    name = None


class Flat(Good):
    shape = (30,)


class Anonymous(Good):
    fingerprint = None


class Restless(Good):
    counted = 0

    @property
    def fingerprint(self):
        self.counted += 1
        return str(self.counted)


class Bytes(Good):
    def load(self, samples):
        x, y = super().load(samples)
        return (x * 255).byte(), y


class Turned(Good):
    def load(self, samples):
        x, y = super().load(samples)
        return x.transpose(2, 3), y


class Greedy(Good):
    def load(self, samples):
        return super().load(range(20))


class FromOne(Good):
    def load(self, samples):
        x, y = super().load(samples)
        return x, y + 1


class Halved(Good):
    labels = torch.arange(10) % 4


class Cropping(Good):
    def load(self, samples):
        x, y = super().load(samples)
        return x * torch.rand(1), y


class Context(Good):
    def load(self, samples):
        x, y = super().load(samples)
        return x / x.max().clamp_min(0.1), y


class Floats(Good):
    def training(self, count, advance=lambda images: None):
        x, y = super().training(count)
        return x / 255, y


class Leaking(Good):
    def training(self, count, advance=lambda images: None):
        x, y = self.load(range(count))
        return (x * 255).round().byte(), y


class LeakingLater(Good):
    """The seventeenth training image is evaluated, too."""

    def training(self, count, advance=lambda images: None):
        x, y = super().training(count)
        x = x.clone()
        x[16:17] = round(255 * 3 / 20)
        return x, y


class Maps(Good):
    """Depth maps of another size than the images."""

    task = Depth()
    labels = None

    def load(self, samples):
        x, _ = super().load(samples)
        return x, x[:, 0] + 1

    def training(self, count, advance=lambda images: None):
        x, _ = super().training(count)
        return x, x[:, 0] / 255 + 1

    def truths(self, samples):
        return [torch.full((12, 10), 2.0 + sample) for sample in samples]


class FewTruths(Maps):
    def truths(self, samples):
        return super().truths(samples[:1])


class FlatTruths(Maps):
    def truths(self, samples):
        return [truth.flatten() for truth in super().truths(samples)]


class DarkTruths(Maps):
    def truths(self, samples):
        return [0 * truth for truth in super().truths(samples)]


class RandomTruths(Maps):
    def truths(self, samples):
        return [truth + torch.rand(()) for truth in super().truths(samples)]


class Untrained(Good):
    def training(self, count, advance=lambda images: None):
        raise ConfigError("There are no training images.")


@pytest.mark.parametrize(
    ("dataset", "promise", "sentence"),
    [
        (Nameless(), "facts_are_stated", "give it text"),
        (Flat(), "facts_are_stated", r"give \(channels, height, width\)"),
        (Anonymous(), "fingerprint_names_the_data", "give a hash"),
        (Restless(), "fingerprint_names_the_data", r"'\d', then '\d'"),
        (Bytes(), "images_are_images", "Expected float32 images"),
        (Turned(), "images_are_images", r"shape \(N, 1, 6, 5\)"),
        (Greedy(), "images_are_images", "gives 20 images; give 1"),
        (FromOne(), "targets_fit_the_task", "labels in 0..3"),
        (Halved(), "labels_are_for_every_image", r"int64 \(10,\); give an int64 tensor \(20,\)"),
        (FewTruths(), "truths_fit_the_task", r"gives 1 maps; give one for each of 20"),
        (FlatTruths(), "truths_fit_the_task", r"gives no map \(height, width\) for sample 0"),
        (DarkTruths(), "truths_fit_the_task", "got a map without"),
        (RandomTruths(), "truths_fit_the_task", "they must not be random"),
        (Cropping(), "loading_is_repeatable", "leave out random crops"),
        (Cropping(), "global_random_state_is_left_alone", "drew from a global"),
        (Context(), "loading_is_repeatable", "differs when it is loaded alone"),
        (Floats(), "training_images_fit", "give uint8"),
        (Leaking(), "training_images_are_others", "is a training image"),
        (LeakingLater(), "training_images_are_others", "is a training image"),
    ],
    ids=lambda case: case if isinstance(case, str) and "_" in case else None,
)
def test_a_data_set_that_breaks_a_promise_is_told(dataset, promise, sentence):
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(check(dataset)[promise])


@pytest.mark.parametrize("dataset", [Good(), Untrained(), Maps()])
def test_a_good_one_is_told_nothing(dataset):
    assert set(check(dataset).values()) == {None}
