"""Every odd picture comes out right, or is named with the reason."""

import io
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from foolbench.core import InputError
from foolbench.core.fitting import fit, fit_map, window
from foolbench.core.preprocess import Preprocess
from foolbench.datasets.pictures.reading import decode, read_picture
from PIL import Image
from torchvision.transforms import v2


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(content):
    return np.asarray(decode(content))


def test_colours_are_those_of_pillow(picture):
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"):
        content = encoded(picture(0), kind)
        assert np.array_equal(pixels(content), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LAB"])
def test_other_colours_come_out_as_rgb(picture, mode):
    kind = "TIFF" if mode in ("CMYK", "YCbCr", "LAB") else "PNG"
    given = picture(1).convert(mode) if mode != "LAB" else Image.merge("LAB", picture(1).split())
    content = encoded(given, kind)
    try:
        Image.open(io.BytesIO(content)).load()
    except OSError as error:  # versions before 13 do not read the YCbCr that they write
        pytest.skip(f"Pillow itself says: {error}")
    found = pixels(content)
    if mode == "LAB":
        assert found.shape == (30, 40, 3)
    else:
        assert np.array_equal(found, np.asarray(given.convert("RGB")))


def test_sixteen_bits_keep_their_upper_eight():
    levels = np.arange(0, 65536, 257, np.uint16).reshape(16, 16)
    found = pixels(encoded(Image.fromarray(levels)))
    assert np.array_equal(found[:, :, 0], np.arange(256).reshape(16, 16))
    assert (found == found[:, :, :1]).all()


def test_what_is_transparent_is_white():
    image = np.zeros((4, 4, 4), np.uint8)
    image[:2, :, 3], image[2:, :, 3] = 255, 0
    found = pixels(encoded(Image.fromarray(image, "RGBA")))
    assert (found[:2] == 0).all()
    assert (found[2:] == 255).all()
    palette = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "L").convert("P")
    assert (pixels(encoded(palette, transparency=3)) == 255).all(axis=2).sum() == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_as_their_exif_says(picture, orientation):
    upright = np.asarray(picture(2))
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turned))
    assert np.array_equal(pixels(encoded(stored, "PNG", exif=exif)), upright)


def test_of_an_animation_the_first_frame(picture):
    frames = [picture(k).convert("P") for k in range(3)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(pixels(content), np.asarray(frames[0].convert("RGB")))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.jpg", b"", "a file of 0 bytes, of no kind"),
        ("text.png", b"no picture", "a file of 10 bytes, of no kind"),
        ("cut.jpg", encoded(Image.new("RGB", (64, 64), "red"), "JPEG")[:300], "Error: "),
        ("floats.tif", encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "its pixels are floating-point"),
        ("wide.tif", encoded(Image.fromarray(np.full((4, 4), 10**6, np.int32)), "TIFF"), "its pixels have 32 bits"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} cannot be read as a picture: .*{why}"):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(40, 30), (30, 40), (7, 5), (300, 41), (1, 1)])
def test_resizing_and_cutting_are_torchvisions(picture, size, interpolation):
    given = picture(3, *size)
    theirs = v2.Compose(
        [v2.Resize(24, interpolation=v2.InterpolationMode(interpolation)), v2.CenterCrop((16, 20)), v2.PILToTensor()]
    )
    found = fit(given, Preprocess(size=(16, 20), resize=24, interpolation=interpolation))
    assert torch.equal(found, theirs(given))


def test_a_very_long_picture_does_not_fill_the_memory(picture):
    found = fit(picture(4, width=20_000, height=2), Preprocess(size=(224, 224), resize=256))
    assert found.shape == (3, 224, 224)


@pytest.mark.parametrize("size", [(32, 96), (96, 32), (20, 64), (16, 16)])
@pytest.mark.parametrize("picture", [(60, 90), (90, 60), (61, 61), (10, 31)])
def test_an_image_of_any_shape_is_covered_by_the_picture(size, picture):
    white = Image.new("RGB", picture, "white")
    preprocess = Preprocess(size=size, resize=min(size))
    assert int(fit(white, preprocess).min()) == 255
    assert int(fit_map(np.full(picture[::-1], 7, np.uint8), preprocess, void=255).max()) == 7
    height, width = window(picture[::-1], preprocess)
    assert height <= picture[1] / min(picture) + 1e-9
    assert width <= picture[0] / min(picture) + 1e-9
    assert height / width == pytest.approx(size[0] / size[1])


def test_threads_that_decode_leave_the_warnings_of_others_alone(tmp_path, picture):
    for k in range(40):
        picture(k).save(tmp_path / f"{k}.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0odd")
    before, switching = [entry for entry in warnings.filters if "PIL" not in str(entry[3])], sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(read_picture, 5 * sorted(tmp_path.iterdir())))
    finally:
        sys.setswitchinterval(switching)
    assert [entry for entry in warnings.filters if "PIL" not in str(entry[3])] == before


@pytest.mark.parametrize("resize", [None, 16, 18])
def test_squashed_pictures_are_those_of_torchvision(picture, resize):
    given, preprocess = picture(3, 60, 25), Preprocess(size=(16, 32), resize=resize, crop="squash")
    whole = [16 * (resize or 16) // 16, 32 * (resize or 16) // 16]
    expected = v2.functional.center_crop(v2.functional.resize(given, whole), [16, 32])
    assert np.array_equal(fit(given, preprocess).permute(1, 2, 0), np.asarray(expected))
    shown = window((25, 60), preprocess)
    assert shown == pytest.approx((16 / whole[0], 60 / 25 * 32 / whole[1]))
