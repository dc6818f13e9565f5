import numpy as np
import pytest
from samples.clip_samples import HEIGHT, WIDTH, depth_map, frame, pose_row, write_depth, write_endonerf, write_masks

from endogs.clip import ClipOptions, load_clip
from endogs.clip.layouts.endonerf import read_poses_bounds
from endogs.errors import InputError


def turned_camera():
    """A camera-to-world pose in OpenCV axes without any symmetry: rotation (3, 3), centre (3,)."""
    a, b, c = 0.3, -0.5, 0.7
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx, np.array([1.0, -2.0, 3.5])


def test_identity_poses_become_identity_cameras(tmp_path):
    clip = load_clip(write_endonerf(tmp_path / "pulling"))
    assert (clip.kind, clip.name, len(clip)) == ("endonerf", "pulling", 3)
    np.testing.assert_array_equal(clip.world_to_camera, np.eye(4)[None].repeat(3, 0))
    assert clip.static_camera
    assert not clip.K_is_guess
    np.testing.assert_allclose(clip.K[2], [[20, 0, WIDTH / 2], [0, 20, HEIGHT / 2], [0, 0, 1]])
    np.testing.assert_array_equal(clip.image(2), frame(2))
    assert int((~clip.tissue_mask(2)).sum()) == 36
    camera = clip.camera(1)
    assert (camera.width, camera.height) == (WIDTH, HEIGHT)


def test_an_opengl_pose_is_the_one_the_endonerf_code_casts_rays_from(tmp_path):
    """EndoNeRF's get_rays: direction ((i - cx)/f, -(j - cy)/f, -1) turned by R, from t, in OpenGL world axes."""
    rotation, centre = turned_camera()
    focal, depth, pixel = 20.0, 7.0, np.array([5.0, 11.0])
    np.save(tmp_path / "poses_bounds.npy", pose_row(rotation, centre, HEIGHT, WIDTH, focal)[None])
    direction = np.array([(pixel[0] - WIDTH / 2) / focal, -(pixel[1] - HEIGHT / 2) / focal, -1])
    point_opengl = centre + depth * rotation @ direction
    K, world_to_camera, _ = read_poses_bounds(tmp_path / "poses_bounds.npy", 1, WIDTH, HEIGHT)
    seen = world_to_camera[0] @ [point_opengl[0], -point_opengl[1], -point_opengl[2], 1]
    projected = K[0] @ seen[:3]
    np.testing.assert_allclose(projected[:2] / projected[2], pixel, atol=1e-9)
    assert seen[2] == pytest.approx(depth)


def test_the_three_conventions_describe_one_camera(tmp_path):
    """The same camera written with right-up-back, down-right-back and right-down-forward columns."""
    rotation, centre = turned_camera()
    flip = np.diag([1.0, -1.0, -1.0])
    opengl_rotation, opengl_centre = flip @ rotation @ flip, flip @ centre
    right, up, back = opengl_rotation.T
    written = {
        "opencv": (rotation, centre),
        "opengl": (opengl_rotation, opengl_centre),
        "llff": (np.stack([-up, right, back], 1), opengl_centre),
    }
    expected = np.eye(4)
    expected[:3, :3], expected[:3, 3] = rotation.T, -rotation.T @ centre
    for convention, (columns, position) in written.items():
        file = tmp_path / f"{convention}.npy"
        np.save(file, pose_row(columns, position, HEIGHT, WIDTH, 20.0)[None])
        _, world_to_camera, _ = read_poses_bounds(file, 1, WIDTH, HEIGHT, convention)
        np.testing.assert_allclose(world_to_camera[0], expected, atol=1e-12)


def test_a_moving_camera_follows_stride(tmp_path):
    root = write_endonerf(tmp_path, 4)
    rows = [pose_row(np.eye(3), [i, 2.0 * i, -3.0 * i], HEIGHT, WIDTH, 20.0 + i) for i in range(4)]
    np.save(root / "poses_bounds.npy", np.stack(rows))
    clip = load_clip(root, ClipOptions(stride=3))
    assert not clip.static_camera
    # In OpenGL's world the fourth camera stands at (3, 6, -9), 9 ahead; in OpenCV's axes that is (3, -6, 9).
    np.testing.assert_allclose(clip.world_to_camera[1][:3, 3], [-3, 6, -9])
    assert clip.K[1, 0, 0] == 23


def test_the_focal_length_is_scaled_to_smaller_images(tmp_path):
    root = write_endonerf(tmp_path, 1)
    np.save(root / "poses_bounds.npy", pose_row(np.eye(3), np.zeros(3), HEIGHT * 4, WIDTH * 4, 88.0)[None])
    clip = load_clip(root)
    np.testing.assert_allclose(clip.K[0], [[22, 0, WIDTH / 2], [0, 22, HEIGHT / 2], [0, 0, 1]])
    assert any("96 x 64" in note for note in clip.notes)


def test_height_and_width_must_not_be_swapped(tmp_path):
    root = write_endonerf(tmp_path, 1)
    np.save(root / "poses_bounds.npy", pose_row(np.eye(3), np.zeros(3), WIDTH, HEIGHT, 20.0)[None])
    with pytest.raises(InputError, match="another aspect"):
        load_clip(root)


def test_gt_masks_serve_where_masks_are_missing(tmp_path):
    root = write_endonerf(tmp_path, 2, masks=False)
    assert not load_clip(root).has_masks
    write_masks(root / "gt_masks", 2)
    assert int((~load_clip(root).tissue_mask(1)).sum()) == 30


def test_two_mask_folders_are_told_apart(tmp_path):
    root = write_endonerf(tmp_path, 1)
    write_masks(root / "gt_masks", 1)
    assert any(note.startswith("gt_masks/ is not used") for note in load_clip(root).notes)


def test_depth_is_relative_until_its_unit_is_given(tmp_path):
    root = write_endonerf(tmp_path, 2)
    write_depth(root / "depth", 2)
    clip = load_clip(root)
    assert clip.units == "relative"
    np.testing.assert_array_equal(clip.depth(1), depth_map(1))
    assert any("--depth-unit-mm" in note for note in clip.notes)
    metric = load_clip(root, ClipOptions(depth_unit_mm=0.2))
    assert metric.units == "mm"
    np.testing.assert_allclose(metric.depth(1), depth_map(1) * 0.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:2], "2 poses for 3 images"),
        (lambda rows: rows[:, :12], r"shape \(3, 12\)"),
        (lambda rows: np.where(np.arange(3)[:, None] == 1, np.nan, rows), "row 1 is not finite"),
        (lambda rows: np.where(np.arange(17) == 14, 0, rows), "row 0 .*positive"),
        (lambda rows: np.where(np.arange(17) == 0, 3, rows), "row 0 holds no rotation"),
        (lambda rows: np.where(np.arange(17) == 0, -1, rows), "row 0 holds no rotation"),
    ],
)
def test_bad_poses_name_the_row(tmp_path, change, message):
    root = write_endonerf(tmp_path)
    np.save(root / "poses_bounds.npy", change(np.load(root / "poses_bounds.npy")))
    with pytest.raises(InputError, match=rf"poses_bounds\.npy.*{message}"):
        load_clip(root)


def test_non_finite_bounds_do_not_matter(tmp_path):
    root = write_endonerf(tmp_path)
    rows = np.load(root / "poses_bounds.npy")
    rows[:, 15:] = np.inf
    np.save(root / "poses_bounds.npy", rows)
    assert len(load_clip(root)) == 3


def test_an_unreadable_pose_file_is_named(tmp_path):
    root = write_endonerf(tmp_path)
    (root / "poses_bounds.npy").write_bytes(b"not numpy")
    with pytest.raises(InputError, match=r"poses_bounds\.npy"):
        load_clip(root)
