"""Data sets in the forms in which others publish them: read right, or refused with a sentence that helps."""

import json
import shutil

import cv2
import numpy as np
import pytest
from layouts import corner
from layouts.asymmetric_scene import K, check_clip, pinhole_rays, poses, see
from layouts.c3vd import LENS, write_c3vd
from layouts.colmap import write_colmap
from layouts.nerfstudio import write_nerfstudio
from layouts.scared import DL, DR, HALF, KL, KR, R, T, write_scared_video
from layouts.simcol import write_simcol
from layouts.stereomis import write_stereomis
from layouts.video_file import write_color_video
from scipy.spatial.transform import Rotation

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError


def said(clip, words):
    assert any(words in note for note in clip.notes), clip.notes


def tum_rows(world_to_camera, times, unit=1.0):
    """Rows of a TUM trajectory."""
    camera_to_world = np.linalg.inv(world_to_camera)
    quaternions = Rotation.from_matrix(camera_to_world[:, :3, :3]).as_quat()
    return np.column_stack([times, camera_to_world[:, :3, 3] / unit, quaternions])


def write_oneslam(root, count=4):
    """images/, depths/ in mm, poses_gt.txt in metres by frame number, mask.bmp, calibration.json with intrinsics."""
    (root / "images").mkdir(parents=True)
    (root / "depths").mkdir()
    for i, pose in enumerate(poses(count)):
        image, depth = see(pose, pinhole_rays())
        cv2.imwrite(str(root / "images" / f"{i + 5:08d}.png"), image[..., ::-1])
        cv2.imwrite(str(root / "depths" / f"{i + 5:08d}.png"), np.rint(depth).astype(np.uint16))
    mask = np.full((48, 80), 255, np.uint8)
    mask[:3, :4] = 0
    cv2.imwrite(str(root / "mask.bmp"), mask)
    np.savetxt(root / "poses_gt.txt", tum_rows(poses(count), np.arange(count) + 5, unit=1000.0), fmt="%.12g")
    camera = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    (root / "calibration.json").write_text(json.dumps({"intrinsics": camera, "fps": 8}))
    return root


def write_calibrated_moving(root, times=None, count=4):
    """A calibrated folder of the slope with depth in mm and poses.tum."""
    write_oneslam(root, count)
    (root / "depths").rename(root / "depth")
    (root / "mask.bmp").unlink()
    facts = json.loads((root / "calibration.json").read_text())
    (root / "calibration.json").write_text(json.dumps(facts["intrinsics"] | {"fps": 8, "depth_unit_mm": 1}))
    (root / "poses_gt.txt").unlink()
    np.savetxt(root / "poses.tum", tum_rows(poses(count), np.arange(count) / 8 if times is None else times))
    return root


def test_simcol(tmp_path):
    root = write_simcol(tmp_path / "SyntheticColon_I")
    for folder in (root, root / "Frames_S1"):
        clip = load_clip(folder)
        assert (clip.kind, len(clip)) == ("simcol", 4)
        check_clip(clip, off_slope=0.2, off_color=1.0)
    shutil.copytree(root / "Frames_S1", root / "Frames_S2")
    with pytest.raises(InputError, match=r"several sequences: give one, such as .*Frames_S1"):
        load_clip(root)
    check_clip(load_clip(root / "Frames_S1"), off_slope=0.2, off_color=1.0)


def test_oneslam(tmp_path):
    clip = load_clip(write_oneslam(tmp_path / "clip"))
    assert (clip.kind, len(clip)) == ("calibrated-folder", 4)
    np.testing.assert_allclose(clip.times, np.arange(4) / 8)
    assert not clip.tissue_mask(0)[:3, :4].any()
    assert clip.tissue_mask(0)[4:].all()
    check_clip(clip, off_slope=0.6, off_color=1.5)


def test_a_row_for_some_frames_only_keeps_those_frames(tmp_path):
    root = write_calibrated_moving(tmp_path / "clip", count=5)
    rows = np.loadtxt(root / "poses.tum")
    np.savetxt(root / "poses.tum", rows[[0, 1, 3]])
    clip = load_clip(root)
    assert len(clip) == 3
    np.testing.assert_allclose(clip.times, [0, 1 / 8, 3 / 8])
    said(clip, "2 of 5 images have none and are left out")
    check_clip(clip, off_slope=0.6, off_color=1.5)


@pytest.mark.parametrize("header", ["# x y z qx qy qz qw", "tx ty tz qw qx qy qz"])
def test_poses_without_times_and_with_w_first(tmp_path, header):
    root = write_calibrated_moving(tmp_path / "clip")
    rows = np.loadtxt(root / "poses.tum")[:, 1:]
    if "qw qx" in header:
        rows[:, 3:] = np.roll(rows[:, 3:], 1, axis=1)
    np.savetxt(root / "poses.tum", rows, header=header, comments="")
    clip = load_clip(root)
    check_clip(clip, off_slope=0.6, off_color=1.5)
    said(clip, "in the order of the frames")


def test_c3vdv2_is_read_with_its_own_lens_and_mask(tmp_path):
    root = write_c3vd(tmp_path / "clip", second_version=True)
    (root / "camera_intrinsics.txt").rename(root / "config.ini")
    lines = (root / "config.ini").read_text()
    (root / "config.ini").write_text(
        f"; intrinsics\r\n{lines}\t\t\n\n; corner mask\nmask = mask.png\nposeStartTime = 0\n"
    )
    mask = np.full((48, 80), 255, np.uint8)
    mask[:10, :12] = 0
    cv2.imwrite(str(root / "mask.png"), mask)
    clip = load_clip(root)
    said(clip, "the lens is that of")
    said(clip, "mask.png: 3.1 %")
    assert clip.ignored[:6, :8].all()
    check_clip(clip, off_slope=0.5, off_color=2.0, known=0.8)


def test_c3vd_at_half_the_size_scales_its_lens(tmp_path):
    root = write_c3vd(tmp_path / "clip")
    lens = {**LENS, "cx": 2 * LENS["cx"] + 0.5, "cy": 2 * LENS["cy"] + 0.5, "width": 160, "height": 96}
    lens |= {f"a{power}": LENS[f"a{power}"] * 2.0 ** (1 - power) for power in range(5)}
    (root / "camera_intrinsics.txt").write_text("\n".join(f"{name} = {value!r}" for name, value in lens.items()))
    clip = load_clip(root)
    said(clip, "scaled from 160 x 96")
    check_clip(clip, off_slope=0.5, off_color=2.0)


def test_c3vds_calibration_as_it_circulates(tmp_path):
    root = write_c3vd(tmp_path / "clip")
    names = "Width height cx cy a0 a2 a3 a4 e f g"
    values = [LENS[n] for n in ("width", "height", "cx", "cy", "a0", "a2", "a3", "a4", "c", "d", "e")]
    values[2:4] = values[2] + 1, values[3] + 1
    (root / "camera_intrinsics.txt").write_text(f"{names}\n{' '.join(map(repr, values))}\n")
    check_clip(load_clip(root), off_slope=0.5, off_color=2.0)
    values[4] = -0.18
    (root / "camera_intrinsics.txt").write_text(f"{names}\n{' '.join(map(repr, values))}\n")
    with pytest.raises(InputError, match=r"a0 is -0\.18 .* must be positive"):
        load_clip(root)


def test_c3vds_rows_are_frame_numbers(tmp_path):
    root = write_c3vd(tmp_path / "clip", count=5)
    for i in (0, 3):
        (root / f"{i}_color.png").unlink()
    clip = load_clip(root)
    assert len(clip) == 3
    said(clip, "2 of 5 rows belong to no image")
    check_clip(clip, off_slope=0.5, off_color=2.0)


def test_c3vd_as_endoslam_on_gaussians_prepares_it(tmp_path):
    root = tmp_path / "clip"
    (root / "color").mkdir(parents=True)
    (root / "depth").mkdir()
    rows = []
    for i, pose in enumerate(poses(4)):
        image, depth = see(pose, pinhole_rays())
        cv2.imwrite(str(root / "color" / f"{i:04d}_color.png"), image[..., ::-1])
        cv2.imwrite(str(root / "depth" / f"{i:04d}_depth.tiff"), np.rint(depth * 2.55).astype(np.uint8))
        rows.append(np.linalg.inv(pose).T.ravel())
    np.savetxt(root / "pose.txt", rows, delimiter=",")
    with pytest.raises(InputError, match=r"color/ holds undistorted images.*write their fx.*calibration\.json"):
        load_clip(root)
    camera = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
    (root / "calibration.json").write_text(json.dumps(camera))
    clip = load_clip(root)
    assert clip.kind == "c3vd"
    said(clip, "8 bits are taken for 0 to 100 mm")
    check_clip(clip, off_slope=0.5, off_color=2.0)


@pytest.mark.parametrize("parts", [("transforms_train.json",), ("transforms_train.json", "transforms_test.json")])
def test_reim_nerfs_transforms(tmp_path, parts):
    truth = write_nerfstudio(tmp_path / "c", "OPENCV_FISHEYE", count=5)
    found = json.loads((tmp_path / "c" / "transforms.json").read_text())
    (tmp_path / "c" / "transforms.json").unlink()
    found["camera_model"], found["scene_scale"] = "FISHEYE_OPENCV", 0.0112
    found["fx"], found["fy"] = found.pop("fl_x"), found.pop("fl_y")
    found["rgb_mask"] = "rgb_mask.png"
    for frame in found["frames"]:
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, 3] *= 1000 * 0.0112
        frame["transform_matrix"] = matrix.tolist()
    frames = found.pop("frames")
    for k, name in enumerate(parts):
        (tmp_path / "c" / name).write_text(json.dumps({**found, "frames": frames[k :: len(parts)]}))
    clip = load_clip(tmp_path / "c")
    assert (clip.kind, clip.units, len(clip)) == ("nerfstudio", "mm", 5)
    np.testing.assert_allclose(clip.world_to_camera, truth, atol=1e-9)
    said(clip, "not used of transforms_train.json: rgb_mask")
    assert not any("do not fit" in note for note in clip.notes)


def test_transforms_from_windows(tmp_path):
    truth = write_nerfstudio(tmp_path / "c", count=4, masks=True)
    file = tmp_path / "c" / "transforms.json"
    found = json.loads(file.read_text())
    for i, frame in enumerate(found["frames"]):
        name = frame["file_path"].split("/")[1]
        frame["file_path"] = (f".\\images\\{name}", f"C:\\clips\\images\\{name}", f"Images/{name.upper()}")[i % 3]
        frame["mask_path"] = frame["mask_path"].replace("/", "\\")
    file.write_text(json.dumps(found), encoding="utf-8-sig", newline="\r\n")
    np.testing.assert_allclose(load_clip(tmp_path / "c").world_to_camera[:, :3, :3], truth[:, :3, :3], atol=1e-9)


def test_instant_ngps_word_for_a_fisheye(tmp_path):
    write_nerfstudio(tmp_path / "c", "OPENCV_FISHEYE", count=4)
    file = tmp_path / "c" / "transforms.json"
    named = load_clip(tmp_path / "c").image(1)
    found = json.loads(file.read_text())
    del found["camera_model"]
    file.write_text(json.dumps(found | {"is_fisheye": True}))
    np.testing.assert_array_equal(load_clip(tmp_path / "c").image(1), named)


def test_transforms_that_say_what_depth_counts_in(tmp_path):
    write_nerfstudio(tmp_path / "c", count=4, depth=True)
    file = tmp_path / "c" / "transforms.json"
    depth = load_clip(tmp_path / "c").depth(0)
    found = json.loads(file.read_text())
    file.write_text(json.dumps(found | {"depth_unit_scale_factor": 0.0001}))
    np.testing.assert_allclose(load_clip(tmp_path / "c").depth(0), 0.1 * depth, rtol=1e-6)
    file.write_text(json.dumps(found | {"depth_unit_scale_factor": 0}))
    with pytest.raises(InputError, match="depth_unit_scale_factor is 0 but must be positive"):
        load_clip(tmp_path / "c")


@pytest.mark.parametrize("place", ["colmap/sparse/0", "sparse_text", "distorted/sparse/0", "dense/0/sparse", "sparse"])
def test_colmaps_other_places(tmp_path, place):
    truth = write_colmap(tmp_path / "c", binary="text" not in place)
    (tmp_path / "c" / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(tmp_path / "c" / "sparse" / "0", tmp_path / "moved")
    shutil.rmtree(tmp_path / "c" / "sparse")
    shutil.move(tmp_path / "moved", tmp_path / "c" / place)
    clip = load_clip(tmp_path / "c")
    assert clip.kind == "colmap"
    np.testing.assert_allclose(clip.world_to_camera, truth, atol=1e-9)
    said(clip, f"the model in {place}/ is read")


def test_colmap_from_windows(tmp_path):
    truth = write_colmap(tmp_path / "c", binary=False)
    for name in ("cameras", "images"):
        file = tmp_path / "c" / "sparse" / "0" / f"{name}.txt"
        text = file.read_text().replace("shot_8.png", "C:\\x\\images\\shot_8.png").replace("shot_9.png", "SHOT_9.PNG")
        file.write_text(text, encoding="utf-8-sig", newline="\r\n")
    np.testing.assert_allclose(load_clip(tmp_path / "c").world_to_camera, truth, atol=1e-9)


def test_endomappers_models_the_largest_with_times_of_the_video(tmp_path):
    root = tmp_path / "33"
    write_colmap(root, unregistered=(0, 1, 2), count=5)
    shutil.copytree(root / "sparse" / "0", root / "sparse" / "small")
    (root / "sparse" / "small").rename(root / "sparse" / "1")
    shutil.rmtree(root / "images")
    shutil.rmtree(root / "sparse" / "0")
    write_colmap(tmp_path / "whole", count=5, unregistered=(3,))
    shutil.move(tmp_path / "whole" / "sparse" / "0", root / "sparse" / "4")
    (root / "img_train").mkdir()
    for i in range(5):
        shutil.move(tmp_path / "whole" / "images" / f"shot_{i + 8}.png", root / "img_train" / f"out{i * 3 + 1}.png")
    file = root / "sparse" / "4" / "images.bin"
    data = file.read_bytes()
    for i in range(5):
        data = data.replace(f"shot_{i + 8}.png".encode() + b"\0", f"out{i * 3 + 1}.png".encode() + b"\0")
    file.write_bytes(data)
    clip = load_clip(root)
    assert (clip.kind, len(clip)) == ("colmap", 4)
    np.testing.assert_allclose(clip.times, np.array([0, 3, 6, 12]) / 40)
    np.testing.assert_allclose(clip.world_to_camera, corner.world_to_camera(5)[[0, 1, 2, 4]], atol=1e-9)
    said(clip, "the one with most images; the other models of sparse/ (1) are not")


def test_stereomis_tracking(tmp_path):
    root = write_stereomis(tmp_path / "P2_0")
    views = load_stacked(root)
    (root / "IFBS_ENDOSCOPE-part0001.mp4").unlink()
    (root / "video_frames").mkdir()
    for i, view in enumerate(views):
        for half, side in ((view[:48], "l"), (view[48:], "r")):
            cv2.imwrite(str(root / "video_frames" / f"{i:06d}{side}.png"), half[..., ::-1])
    clip = load_clip(root)
    assert (clip.kind, len(clip), clip.has_masks) == ("stereomis", 6, True)
    check_clip(clip, off_slope=0.3, off_color=2.0)
    (root / "video_frames" / "000002r.png").unlink()
    with pytest.raises(InputError, match=r"000002l\.png: its right view 000002r\.png is not there"):
        load_clip(root)


def load_stacked(root):
    import av

    with av.open(str(root / "IFBS_ENDOSCOPE-part0001.mp4")) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_scared_with_poses_only_takes_the_keyframes_calibration(tmp_path):
    root = write_scared_video(tmp_path / "keyframe_1")
    for file in (root / "data" / "frame_data").iterdir():
        found = json.loads(file.read_text())
        del found["camera-calibration"]
        file.write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"no endoscope_calibration\.yaml: copy that file beside data/"):
        load_clip(root)
    storage = cv2.FileStorage(str(root / "endoscope_calibration.yaml"), cv2.FILE_STORAGE_WRITE)
    for name, value in (("K1", KL - HALF), ("D1", DL), ("K2", KR - HALF), ("D2", DR), ("R", R), ("T", T)):
        storage.write(name, value)
    storage.release()
    check_clip(load_clip(root), off_slope=0.3, off_color=2.0)


def test_scared_still_packed_says_so_and_never_asks_to_delete(tmp_path):
    root = write_scared_video(tmp_path / "keyframe_1", 1)
    shutil.move(root / "data" / "frame_data", tmp_path / "unpacked")
    (root / "data" / "frame_data.tar.gz").write_bytes(b"")
    for name in ("Left_Image.png", "Right_Image.png"):
        cv2.imwrite(str(root / name), np.zeros((48, 80, 3), np.uint8))
    (root / "left_depth_map.tiff").write_bytes(b"not for OpenCV")
    with pytest.raises(InputError, match=r"scared-video: data/frame_data\.tar\.gz must be unpacked") as caught:
        load_clip(root)
    assert "remove" not in str(caught.value)
    shutil.move(tmp_path / "unpacked", root / "data" / "frame_data")  # unpacked as told
    assert load_clip(root).kind == "scared-video"


@pytest.mark.parametrize(
    ("landmark", "kind"),
    [
        ("poses_bounds.npy", "endonerf"),
        ("pose.txt", "c3vd"),
        ("StereoCalibration.ini", "stereomis"),
        ("calibration.json", "calibrated-folder"),
        ("transforms_depth.json", "nerfstudio"),
        ("sparse", "colmap"),
        ("Poses", "endoslam"),
        ("SavedPosition_S1.txt", "simcol"),
    ],
)
def test_a_layout_that_is_nearly_there_speaks_before_its_frames_are_taken_alone(tmp_path, landmark, kind):
    root = tmp_path / "clip"
    root.mkdir()
    for i in range(3):
        cv2.imwrite(str(root / f"{i:03d}.png"), see(poses(3)[i], pinhole_rays())[0])
    if "." in landmark:
        (root / landmark).write_text("{}")
    else:
        (root / landmark).mkdir()
    with pytest.raises(InputError, match=rf"not whole \(.*{kind}: .*frames to read them alone") as caught:
        load_clip(root)
    assert "\n" not in str(caught.value)
    alone = tmp_path / "alone"  # what it advises
    alone.mkdir()
    for file in root.glob("*.png"):
        shutil.copy(file, alone)
    assert load_clip(alone).kind == "image-folder"


def test_what_lies_there_and_is_not_used_is_said(tmp_path):
    root = write_calibrated_moving(tmp_path / "clip")
    assert not any(note.startswith("not used") for note in load_clip(root).notes)
    (root / "poses_ground_truth.csv").write_text("1")
    (root / "endoscope.ini").write_text("1")
    (root / "left_masks").mkdir()
    (root / "readme.txt").write_text("1")
    note = next(note for note in load_clip(root).notes if note.startswith("not used"))
    assert "left_masks/, poses_ground_truth.csv, by the name masks, poses" in note
    assert "readme" not in note


def test_beside_a_video_too(tmp_path):
    write_color_video(tmp_path / "clip.mp4", [see(pose, pinhole_rays())[0] for pose in poses(3)])
    assert not any("not used" in note for note in load_clip(tmp_path / "clip.mp4").notes)
    (tmp_path / "kinematics.csv").write_text("1")
    said(load_clip(tmp_path / "clip.mp4"), "not used: kinematics.csv")


def test_forplanes_depth_is_depth(tmp_path):
    root = write_calibrated_moving(tmp_path / "clip")
    (root / "depth").rename(root / "gt_depth")
    check_clip(load_clip(root), off_slope=0.6, off_color=1.5)


def test_advice_leads_to_the_data_set_and_not_to_its_masks(tmp_path):
    (tmp_path / "set" / "masks").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "set" / "masks" / "0.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="give a video or a folder of images"):
        load_clip(tmp_path / "set")
    (tmp_path / "set" / "image_left").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "image_left" / "0.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "set" / "pose_left.txt").write_text("1")
    with pytest.raises(InputError, match=r"frames in .*image_left; read so, the camera stands still and .*pose_left"):
        load_clip(tmp_path / "set")
    write_simcol(tmp_path / "set" / "deeper" / "SyntheticColon_I")
    with pytest.raises(InputError, match=r"perhaps you mean .*SyntheticColon_I \(simcol\)"):
        load_clip(tmp_path / "set")


def test_options_of_lengths_are_checked(tmp_path):
    with pytest.raises(InputError, match="--pose-unit-mm 0 is out of range"):
        load_clip(tmp_path, ClipOptions(pose_unit_mm=0))
    root = write_calibrated_moving(tmp_path / "clip")
    np.savetxt(root / "poses.tum", tum_rows(poses(4), np.arange(4) / 8, unit=1000.0))
    check_clip(load_clip(root, ClipOptions(pose_unit_mm=1000)), off_slope=0.6, off_color=1.5)
    (root / "poses.tum").unlink()
    said(load_clip(root, ClipOptions(pose_unit_mm=1000)), "--pose-unit-mm changes nothing")
