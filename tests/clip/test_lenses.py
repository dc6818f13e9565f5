import cv2
import numpy as np
import pytest
from layouts import corner

from endogs.clip import ClipOptions
from endogs.clip.cameras.lenses import HALF_PIXEL, Brown, KannalaBrandt, Mei, Scaramuzza
from endogs.clip.cameras.undistortion import pinhole_view, undistort
from endogs.clip.clip import Clip
from endogs.clip.recording import Recording
from endogs.errors import InputError

K = np.array([[61.0, 0, 93.5], [0, 66.0, 70.25], [0, 0, 1]])
FISHEYE = (-0.03, 0.012, -0.004, 0.0007)
SIZE = corner.WIDTH, corner.HEIGHT
# C3VD's calibration (its render code and readme: README.md of github.com/DurrLab/C3VD), 1350 x 1080.
C3VD = (769.2436, 0.0, -8.1277e-4, 6.25674e-7, -1.19662e-9)
STRETCH = ((0.99998688, 0.00288274), (-0.00296317, 1.0))


def some_rays(widest=1.05):
    y, x = np.mgrid[-1:1:13j, -1:1:11j] * widest
    angle = np.hypot(x, y)
    flat = np.where(angle > 0, np.sin(angle) / np.maximum(angle, 1e-12), 1.0)
    return np.stack([x * flat, y * flat, np.cos(angle)], -1) * 7


def test_kannala_brandt_agrees_with_opencv():
    rays = some_rays()
    judge, _ = cv2.fisheye.projectPoints(
        rays.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), K - HALF_PIXEL, np.array(FISHEYE)
    )
    np.testing.assert_allclose(KannalaBrandt(K, FISHEYE).project(rays).reshape(-1, 2), judge[:, 0] + 0.5, atol=1e-9)


@pytest.mark.parametrize("distortion", [(-0.2, 0.05, 0.004, -0.007), (0.1, 0.02, 0.003, 0.001, -0.01, 0.2, 0.1, 0.02)])
def test_brown_agrees_with_opencv(distortion):
    rays = some_rays(0.6)
    judge, _ = cv2.projectPoints(rays.reshape(-1, 3), np.zeros(3), np.zeros(3), K - HALF_PIXEL, np.array(distortion))
    np.testing.assert_allclose(Brown(K, distortion).project(rays).reshape(-1, 2), judge[:, 0] + 0.5, atol=1e-9)


def test_mei_is_brown_when_both_centres_coincide_and_inverts_its_papers_lifting():
    rays = some_rays(0.6)
    distortion = (-0.2, 0.05, 0.004, -0.007)
    np.testing.assert_allclose(Mei(K, 0.0, distortion).project(rays), Brown(K, distortion).project(rays), atol=1e-9)
    # Mei and Rives 2007, eq. 5: the ray through a point of the undistorted plane.
    xi = 1.3
    x, y = np.mgrid[-0.6:0.6:9j, -0.5:0.5:7j]
    square = x * x + y * y
    height = (xi + np.sqrt(1 + (1 - xi * xi) * square)) / (square + 1)
    lifted = np.stack([height * x, height * y, height - xi], -1)
    expected = np.stack([x * K[0, 0] + 1.5 * y + K[0, 2], y * K[1, 1] + K[1, 2]], -1)
    with_skew = K + np.array([[0, 1.5, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(Mei(with_skew, xi, (0, 0, 0, 0)).project(lifted * 3), expected, atol=1e-9)


def test_scaramuzza_inverts_the_polynomial_that_makes_its_rays():
    x, y = np.mgrid[-600:600:9j, -500:500:7j]
    rays = np.stack([x, y, np.polynomial.polynomial.polyval(np.hypot(x, y), C3VD)], -1)
    centre = (680.04, 544.48)
    lens = Scaramuzza(C3VD, centre, STRETCH)
    expected = np.stack([x, y], -1) @ np.array(STRETCH).T + centre
    np.testing.assert_allclose(lens.project(rays / 400), expected, atol=1e-6)


@pytest.mark.parametrize(
    "lens",
    [
        KannalaBrandt(K, (-0.1, 0.0, 0.0, 0.0)),
        Mei(K, 1.1, (-0.3, 0.0, 0.0, 0.0)),
        Brown(K, (-0.3, 0.0, 0.0, 0.0)),
        Scaramuzza(C3VD, (5.0, 6.0)),
    ],
)
def test_nothing_is_seen_where_a_lens_folds_over(lens):
    # Beyond its last angle a model comes back to the middle and would show tissue twice.
    angles = np.radians(np.arange(0, 181, 1.0))
    rays = np.stack([np.sin(angles), np.zeros_like(angles), np.cos(angles)], -1)
    x = lens.project(rays)[:, 0]
    seen = np.isfinite(x)
    assert seen[:60].sum() > 30
    assert not seen[-1]
    assert not seen[np.flatnonzero(~seen)[0] :].any(), "once lost, a ray farther out is not seen again"
    assert (np.diff(x[seen]) > 0).all()


def fisheye_rays():
    """Directions (H, W, 3) through the pixels of the fisheye, by OpenCV, NaN beyond its view."""
    y, x = np.mgrid[: corner.HEIGHT, : corner.WIDTH].astype(np.float64)
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    flat = cv2.fisheye.undistortPoints(pixels, K - HALF_PIXEL, np.array(FISHEYE)).reshape(*x.shape, 2)
    return np.concatenate([flat, np.ones((*x.shape, 1))], -1)


class Held:
    def __init__(self, frames):
        self.frames = frames

    def read(self, index):
        return self.frames[index]


def fisheye_recording(tmp_path, along):
    rays, pose = fisheye_rays(), corner.world_to_camera()[2]
    inside = np.arctan(np.hypot(rays[..., 0], rays[..., 1])) < 1.15
    view = corner.see(pose, rays)
    image = np.where(inside[..., None], view.image, 0).astype(np.uint8)
    depth = view.depth * (np.linalg.norm(rays, axis=-1) if along == "ray" else 1) * inside
    return Recording(
        tmp_path,
        "made",
        *SIZE,
        times=np.arange(2.0),
        K=K[None].repeat(2, 0),
        world_to_camera=pose[None].repeat(2, 0),
        images=Held([image] * 2),
        masks=Held([rays[..., 0] > -0.5] * 2),
        depths=Held([depth.astype(np.float32)] * 2),
    )


@pytest.mark.parametrize("along", ["z", "ray"])
def test_an_undistorted_fisheye_shows_what_a_pinhole_camera_sees(tmp_path, along):
    recording = fisheye_recording(tmp_path, along)
    options = ClipOptions(undistorted_degrees=95)
    clip = Clip(undistort(recording, KannalaBrandt(K, FISHEYE), options, along), options)
    assert clip.K[0, 0, 0] == pytest.approx(SIZE[0] / 2 / np.tan(np.radians(47.5)))
    assert clip.K[0, 1, 1] / clip.K[0, 0, 0] == pytest.approx(66 / 61, rel=1e-6)
    np.testing.assert_allclose(clip.K[0, :2, 2], K[:2, 2], atol=1e-6)
    rays = corner.pixel_rays(clip.K[0])
    truth = corner.see(clip.world_to_camera[0], rays)
    tissue = clip.tissue_mask(0)
    assert 0.4 < tissue.mean() < 0.9
    assert np.abs(clip.image(0)[tissue].astype(float) - truth.image[tissue]).mean() < 4
    known = (clip.depth(0) > 0) & tissue
    assert known.mean() > 0.95 * tissue.mean()
    # Depth is the nearest pixel's: half a pixel of a surface tilted by 40 degrees at 60 pixels focal length.
    error = np.abs(clip.depth(0)[known] / truth.depth[known] - 1)
    assert np.median(error) < 0.004
    assert np.percentile(error, 98) < 0.02
    np.testing.assert_array_equal(tissue[rays[..., 0] < -0.52], False)


def test_what_a_wide_view_cannot_show_is_ignored(tmp_path):
    options = ClipOptions(undistorted_degrees=140)
    recording = fisheye_recording(tmp_path, "z")
    clip = Clip(undistort(recording, KannalaBrandt(K, FISHEYE), options), options)
    rays = corner.pixel_rays(clip.K[0])
    flat = np.hypot(rays[..., 0], rays[..., 1])
    dark = flat > np.tan(1.15) + 0.05
    assert 0.02 < dark.mean() < 0.3
    assert clip.ignored[dark].all(), "black around the round view is no tissue"
    assert clip.ignored[flat < 1.8].mean() < 0.2
    assert not clip.image(0)[flat > np.tan(1.15) + 0.2].any()
    everything = ClipOptions(undistorted_degrees=140, borders="keep")
    full = Clip(undistort(recording, KannalaBrandt(K, FISHEYE), everything), everything)
    assert not full.ignored[dark].all(), "--borders keep keeps the black that the image itself shows"


def test_a_crop_must_leave_something_to_see(tmp_path):
    options = ClipOptions(undistorted_degrees=140, crop=(0, 0, 4, 4))
    with pytest.raises(InputError, match="--crop keeps only what the undistorted view does not show"):
        Clip(undistort(fisheye_recording(tmp_path, "z"), KannalaBrandt(K, FISHEYE), options), options)


def test_the_wrong_kind_of_depth_shows(tmp_path):
    recording = fisheye_recording(tmp_path, "ray")
    clip = Clip(undistort(recording, KannalaBrandt(K, FISHEYE), ClipOptions(), "z"))
    known = clip.depth(0) > 0
    truth = corner.see(clip.world_to_camera[0], corner.pixel_rays(clip.K[0]))
    assert np.percentile(np.abs(clip.depth(0)[known] / truth.depth[known] - 1), 90) > 0.1


def test_by_default_the_middle_keeps_its_resolution():
    np.testing.assert_allclose(pinhole_view(KannalaBrandt(K, FISHEYE), SIZE).K, K, atol=1e-5)
    np.testing.assert_allclose(pinhole_view(Mei(K, 0.8, (0, 0, 0, 0)), SIZE).K[0, 0], 61 / 1.8, atol=1e-5)
    assert pinhole_view(Brown(K, (-0.1, 0, 0, 0)), SIZE, focal=88.0).K[0, 0] == 88


def test_undistortion_asked_for_badly(tmp_path):
    with pytest.raises(InputError, match=r"--undistorted-degrees 170 must be from 1 to 150"):
        pinhole_view(KannalaBrandt(K, FISHEYE), SIZE, 170)
    elsewhere = K + np.array([[0, 0, 9000], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(InputError, match="sees nothing of the frames"):
        undistort(fisheye_recording(tmp_path, "z"), KannalaBrandt(elsewhere, FISHEYE), ClipOptions())
