"""KITTI's raw data are read back as they were written: a scan whose depths are known in closed form."""

from copy import copy

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError, datasets
from foolbench.datasets.maps.velodyne import Calibration, depth_map
from foolbench.tasks import Depth
from PIL import Image

DAY, DRIVE = "2011_09_26", "2011_09_26/2011_09_26_drive_0002_sync"
HEIGHT, WIDTH, FOCAL, FORWARD = 30, 40, 20.0, 0.25  # the camera is a quarter of a metre before the laser
CAMERA = np.array([[FOCAL, 0, 20, 0], [0, FOCAL, 15, 0], [0, 0, 1, 0]])
AXES = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])  # x forward, y left, z up to x right, y down, z forward


def point(row, column, depth):
    """The one that pixel (row, column), counted from 0, shows at this depth from the camera."""
    right, down = (column + 1 - 20) * depth / FOCAL, (row + 1 - 15) * depth / FOCAL
    return [depth + FORWARD, -right, -down, 0.3]


POINTS = np.array(
    [
        *(point(3, 5, 8.0), point(20, 33, 12.5), point(10, 10, 30.0), point(10, 10, 6.0)),
        *(point(200, 5, 4.0), [-5, 0, 0, 0.1], [0.1, 0, 0, 0.1]),  # beyond the picture, behind the laser, the camera
    ],
    dtype="<f4",
)
SEEN = {(3, 5): 8.0, (20, 33): 12.5, (10, 10): 6.0}  # of two at one pixel the nearer


def text(key, matrix):
    return f"{key}: {' '.join(f'{number:e}' for number in np.asarray(matrix).flat)}\n"


@pytest.fixture
def kitti(tmp_path, picture):
    recording = tmp_path / "raw" / DRIVE
    for folder in ("image_02/data", "image_03/data", "velodyne_points/data", "proj_depth/groundtruth/image_02"):
        (recording / folder).mkdir(parents=True)
    for index in (0, 7):
        picture(index, WIDTH, HEIGHT).save(recording / "image_02" / "data" / f"{index:010d}.png")
        POINTS.tofile(recording / "velodyne_points" / "data" / f"{index:010d}.bin")
    improved = np.zeros((HEIGHT, WIDTH), np.uint16)
    improved[4, 6] = 10 * 256 + 128
    Image.fromarray(improved).save(recording / "proj_depth/groundtruth/image_02/0000000007.png")
    cameras = text("S_rect_02", [[WIDTH, HEIGHT]]) + text("R_rect_00", np.eye(3)) + text("P_rect_02", CAMERA)
    (tmp_path / "raw" / DAY / "calib_cam_to_cam.txt").write_text("calib_time: 09-Jan-2012 13:57:47\n" + cameras)
    laser = text("R", AXES) + text("T", [0, 0, -FORWARD])
    (tmp_path / "raw" / DAY / "calib_velo_to_cam.txt").write_text("calib_time: 15-Mar-2012 11:37:16\n" + laser)
    (tmp_path / "test.txt").write_text(f"{DRIVE} 7 l\n")
    (tmp_path / "train.txt").write_text(f"{DRIVE} 0 l\n{DRIVE} 7 l\n")
    return tmp_path


def opened(kitti, network, size=(HEIGHT, WIDTH), **options):
    given = {"split": str(kitti / "test.txt"), **options}
    return datasets.bind(f"kitti:{kitti / 'raw'}", given)().for_model(network(Depth(), size))


def test_depth_is_that_of_the_nearest_point_along_the_cameras_axis(kitti, network):
    images, maps = opened(kitti, network).load([0])
    assert (images.shape, maps.dtype) == ((1, 3, HEIGHT, WIDTH), torch.float32)
    expected = torch.zeros(HEIGHT, WIDTH)
    for (row, column), depth in SEEN.items():
        expected[row, column] = depth
    torch.testing.assert_close(maps[0], expected)
    Depth().check_targets(maps, 1)


def test_a_rotated_camera_sees_along_its_own_axis():
    angle = 0.3
    turned = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    moved = np.eye(4)
    moved[:3, :3] = turned @ AXES
    ahead = turned.T @ [0, 0, 9.0]  # in the axes of the camera that is not turned
    points = np.array([[ahead[2], -ahead[0], -ahead[1], 0]], dtype=np.float32)
    found = depth_map(points, Calibration(CAMERA @ moved, (HEIGHT, WIDTH)))
    assert found[14, 19] == pytest.approx(9.0, rel=1e-6)
    assert np.count_nonzero(found) == 1


def test_improved_depth_is_in_parts_of_a_metre(kitti, network):
    _, maps = opened(kitti, network, truth="improved").load([0])
    assert float(maps[0, 4, 6]) == 10.5
    assert int((maps > 0).sum()) == 1


def test_lines_may_be_paths(kitti, network):
    (kitti / "paths.txt").write_text(f"{DRIVE}/image_02/data/0000000007.png None 721.5\n")
    one, two = opened(kitti, network), opened(kitti, network, split=str(kitti / "paths.txt"))
    assert torch.equal(one.load([0])[1], two.load([0])[1])
    assert one.fingerprint == two.fingerprint


def test_training_images_are_of_another_split_without_what_is_evaluated(kitti, network):
    images, maps = opened(kitti, network, train_split=str(kitti / "train.txt")).training(9)
    assert images.shape == (1, 3, HEIGHT, WIDTH)
    assert float(maps[0, 3, 5]) == 8.0
    with pytest.raises(ConfigError, match="say train_split = FILE"):
        opened(kitti, network).training(1)
    with pytest.raises(ConfigError, match="are among its evaluation images"):
        opened(kitti, network, train_split=str(kitti / "test.txt")).training(1)


def test_other_scans_of_the_training_images_are_other_training_images(kitti, network):
    found = opened(kitti, network, train_split=str(kitti / "train.txt"))
    first = found.training_fingerprint()
    assert first != opened(kitti, network).training_fingerprint() == ""
    POINTS[:3].tofile(kitti / "raw" / DRIVE / "velodyne_points" / "data" / "0000000000.bin")
    assert found.training_fingerprint() != first


def test_another_calibration_makes_another_truth(kitti, network):
    split = str(kitti / "train.txt")
    scanned, improved = opened(kitti, network, train_split=split), opened(kitti, network, truth="improved")
    path = kitti / "raw" / DAY / "calib_velo_to_cam.txt"
    path.write_text(path.read_text().replace("T: ", "T: 1"))
    again = opened(kitti, network, train_split=split)
    assert again.fingerprint != scanned.fingerprint
    assert opened(kitti, network, truth="improved").fingerprint == improved.fingerprint, "which needs none"


def test_a_calibration_that_was_changed_is_read_again(kitti, network):
    before = opened(kitti, network).load([0])[1]
    path = kitti / "raw" / DAY / "calib_velo_to_cam.txt"
    path.write_text(path.read_text().replace(text("T", [0, 0, -FORWARD]), text("T", [0, 0, 1 - FORWARD])))
    after = opened(kitti, network).load([0])[1]
    assert (12.5 in before, 13.5 in before) == (True, False)
    assert (12.5 in after, 13.5 in after) == (False, True)
    path.unlink()
    with pytest.raises((ConfigError, InputError), match="calib_velo_to_cam"):
        opened(kitti, network).load([0])


def test_a_line_that_is_there_twice_counts_once(kitti, network):
    (kitti / "test.txt").write_text(f"{DRIVE} 7 l\n{DRIVE} 0 l\n{DRIVE}/image_02/data/0000000007.png\n")
    assert len(opened(kitti, network)) == 2


def test_training_images_of_another_calibration_are_others(kitti, network):
    found, path = (
        opened(kitti, network, train_split=str(kitti / "train.txt")),
        kitti / "raw" / DAY / "calib_velo_to_cam.txt",
    )
    before = found.training_fingerprint()
    path.write_text(path.read_text().replace("T: ", "T: 1"))
    assert found.training_fingerprint() != before


def test_a_map_of_another_size_is_of_another_picture(kitti, network, picture):
    picture(7, WIDTH, HEIGHT // 2).save(kitti / "raw" / DRIVE / "image_02" / "data" / "0000000007.png")
    with pytest.raises(InputError, match=r"Expected a map of 15 x 40 pixels for .*07\.png, got one of 30 x 40 from"):
        opened(kitti, network).load([0])


def test_a_network_of_grey_images_trains_on_grey_ones(kitti, network):
    coloured = opened(kitti, network, train_split=str(kitti / "train.txt"))
    grey = copy(coloured)
    grey.channels = 1
    assert grey.load([0])[0].shape == (1, 1, HEIGHT, WIDTH)
    assert grey.training(9)[0].shape == (1, 1, HEIGHT, WIDTH)
    assert grey.training_fingerprint() != coloured.training_fingerprint()


def test_maps_are_resized_without_a_depth_between_two(kitti, network):
    _, maps = opened(kitti, network, (HEIGHT // 2, WIDTH // 2)).load([0])
    assert maps.shape == (1, HEIGHT // 2, WIDTH // 2)
    assert set(maps.unique().tolist()) <= {0.0, *SEEN.values()}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("something else", "Expected 'DATE/DRIVE INDEX l' or the path of a picture"),
        (f"{DRIVE} 9 l", "there is no .*0000000009.png"),
        (f"{DRIVE} 7 r", "there is no .*image_03"),
    ],
)
def test_lines_that_lead_nowhere_are_told(kitti, network, line, sentence):
    (kitti / "test.txt").write_text(line)
    with pytest.raises(ConfigError, match=sentence):
        opened(kitti, network)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (f"{DRIVE}/velodyne_points/data/0000000007.bin", b"abc", "Expected a scan of four finite float32 a point"),
        (f"{DAY}/calib_cam_to_cam.txt", b"R_rect_00: 1 2", "Expected R_rect_00 with 9 numbers"),
        (f"{DAY}/calib_velo_to_cam.txt", b"", "Expected R with 9 numbers"),
    ],
)
def test_damaged_files_are_told(kitti, network, file, content, sentence):
    (kitti / "raw" / file).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        opened(kitti, network).load([0])


@pytest.mark.parametrize("kind", [np.uint8, bool])
def test_a_map_of_eight_bits_or_one_is_no_improved_one(kitti, network, kind):
    path = kitti / "raw" / DRIVE / "proj_depth/groundtruth/image_02/0000000007.png"
    Image.fromarray(np.zeros((HEIGHT, WIDTH), kind)).save(path)
    with pytest.raises(InputError, match="Expected a depth map of 16 bits"):
        opened(kitti, network, truth="improved").load([0])


def test_a_split_that_is_no_text_is_one_sentence(kitti, network):
    (kitti / "test.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"Expected a split of KITTI at .*test\.txt, but: it is no text"):
        opened(kitti, network)
