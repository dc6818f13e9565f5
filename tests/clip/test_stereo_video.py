import cv2
import numpy as np
import pytest
from layouts import corner
from layouts.stereo_video import BASELINE, views, write_calibration, write_packed, write_video

from endogs.clip import ClipOptions, load_clip
from endogs.clip.view.stereo_hint import stereo_hint
from endogs.errors import InputError


def errors(clip):
    """Mean absolute differences of all views from the corner as the clip's cameras must see it."""
    found = []
    for i, pose in enumerate(corner.world_to_camera(len(clip))):
        for camera, image in ((clip.camera(i), clip.image(i)), (clip.right_camera(i), clip.right_image(i))):
            # The clip's world is the left camera's own, as it is not known to move.
            seen_from = camera.world_to_camera.numpy().astype(float) @ pose
            truth = corner.see(seen_from, corner.pixel_rays(camera.K.numpy().astype(float)))
            found.append(np.abs(image.astype(float) - truth.image)[8:-8, 8:-8].mean())
    return found


@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("arrangement", ["side-by-side", "top-bottom"])
def test_views_packed_into_one_file(tmp_path, arrangement, rectified):
    file = write_packed(tmp_path / "v.mp4", arrangement, rectified)
    calibration = write_calibration(tmp_path / "c.json", rectified)
    clip = load_clip(file, ClipOptions(stereo=arrangement, calibration=calibration))
    assert (clip.kind, len(clip), clip.width, clip.height) == ("stereo-video", 3, corner.WIDTH, corner.HEIGHT)
    assert clip.has_right
    assert clip.units == "mm"
    assert clip.baseline == pytest.approx(BASELINE, abs=0.02)
    assert max(errors(clip)) < 5
    assert not clip.K_is_guess
    clip.baseline = -clip.baseline
    assert max(errors(clip)) > 8, "the judgement sees exchanged eyes"


def test_two_files_are_paired_by_their_times(tmp_path):
    left, right = views()
    folder = tmp_path / "v"
    (folder / "right").mkdir(parents=True)
    write_video(folder / "scene_left.mp4", left)
    write_video(folder / "right" / "scene.mp4", right[:2])
    write_calibration(folder / "calibration.json")
    clip = load_clip(folder)
    assert (clip.kind, len(clip)) == ("stereo-video", 2)
    assert max(errors(clip)) < 5
    assert any("1 frames of scene_left.mp4 without a partner" in note for note in clip.notes)
    strided = load_clip(folder, ClipOptions(start=0.04, crop=(8, 4, 108, 104), max_size=50))
    assert (strided.width, strided.height, len(strided)) == (50, 50, 1)
    halved = clip.right_image(1)[4:104, 8:108].reshape(50, 2, 50, 2, 3).mean((1, 3))
    np.testing.assert_allclose(strided.right_image(0), halved, atol=1)


@pytest.mark.parametrize(
    ("width", "height", "way", "ratio"),
    [(320, 180, "side-by-side", 0.5), (320, 180, "top-bottom", 2), (320, 128, "side-by-side", 1)],
)
def test_views_that_were_squeezed_to_half_have_oblong_pixels(tmp_path, width, height, way, ratio):
    file = write_video(tmp_path / "v.mp4", [np.full((height, width, 3), 90 + i, np.uint8) for i in range(3)])
    clip = load_clip(file, ClipOptions(stereo=way), look=False)
    assert clip.K[0, 0, 0] / clip.K[0, 1, 1] == pytest.approx(ratio)
    assert any("squeezed to half" in note for note in clip.notes) == (ratio != 1)
    (guess,) = (note for note in clip.notes if "focal length guessed" in note)
    assert f" {clip.K[0, 1, 1]:.0f} pixels" in guess


def test_without_a_calibration_the_left_view_is_used(tmp_path):
    clip = load_clip(write_packed(tmp_path / "v.mp4", "top-bottom"), ClipOptions(stereo="top-bottom"))
    assert not clip.has_right
    assert clip.K_is_guess
    assert clip.height == corner.HEIGHT
    np.testing.assert_allclose(clip.K[0, :2, 2], [corner.WIDTH / 2, corner.HEIGHT / 2])
    assert np.abs(clip.image(1).astype(float) - views()[0][1]).mean() < 4
    assert any("--calibration says it" in note for note in clip.notes)


def test_packed_views_are_hinted_at_and_single_views_are_not(tmp_path):
    clip = load_clip(write_packed(tmp_path / "v.mp4", "side-by-side"))
    assert clip.width == 2 * corner.WIDTH
    assert any("--stereo side-by-side takes them apart" in note for note in clip.notes)
    assert "--stereo top-bottom" in stereo_hint(np.vstack([view[0] for view in views()]))[0]
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    assert stereo_hint(cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)) == []
    flat = np.full((200, 300, 3), 90, np.uint8)
    assert stereo_hint(flat) == []


def test_mistakes(tmp_path):
    left, right = views()
    folder = tmp_path / "v"
    folder.mkdir()
    write_video(folder / "left.mp4", left)
    write_video(folder / "right.mp4", [image[:100] for image in right])
    with pytest.raises(InputError, match="both views must have one size"):
        load_clip(folder)
    with pytest.raises(InputError, match="--stereo is for one video file"):
        load_clip(folder, ClipOptions(stereo="top-bottom"))
    (folder / "right.mp4").unlink()
    with pytest.raises(InputError, match="no pair of videos called left and right"):
        load_clip(folder)
    packed = write_packed(tmp_path / "p.mp4", "side-by-side")
    with pytest.raises(InputError, match=r"absent\.json: cannot be opened"):
        load_clip(packed, ClipOptions(stereo="side-by-side", calibration=tmp_path / "absent.json"))
    for facts, message in (
        ("{}", "names no camera"),
        ('{"fx": 1, "fy": 1, "cx": 1, "cy": 1, "width": 9}', "width is 9"),
    ):
        (tmp_path / "c.json").write_text(facts)
        with pytest.raises(InputError, match=message):
            load_clip(packed, ClipOptions(stereo="side-by-side", calibration=tmp_path / "c.json"))
