"""What the conformance kit asks of every defense, and what this one is."""

import cv2
import numpy as np
import torch
from box_blur import BoxBlur
from foolbench.evaluation.conformance import parametrize_with_checks


@parametrize_with_checks([BoxBlur(), BoxBlur(size=5)])
def test_promises(subject, check):
    check.run(subject)


def test_it_is_the_blur_of_opencv():
    x = torch.rand(1, 3, 20, 30)
    image = x[0].permute(1, 2, 0).numpy()
    expected = cv2.blur(image, (5, 5), borderType=cv2.BORDER_REPLICATE)
    found = BoxBlur(size=5)(x)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
