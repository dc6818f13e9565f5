import cv2
import numpy as np
import pytest
from layouts import corner
from layouts.colmap import DISTORTIONS, MODELS, intrinsics, write_colmap
from layouts.reprojection import depth_error, image_error, largest_miss

from endogs.clip import ClipOptions, load_clip
from endogs.clip.cameras.colmap_model import read_model
from endogs.errors import InputError
from endogs.geometry import invert_rigid

TWO_FOLDERS = "1 1 0 0 0 0 0 0 7 a/shot_8.png\n\n2 1 0 0 0 0 0 0 7 b/shot_8.png\n\n"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_points_land_on_their_pixels(tmp_path, model, binary):
    poses = write_colmap(tmp_path / "c", model, binary)
    clip = load_clip(tmp_path / "c")
    assert (clip.kind, len(clip), clip.units) == ("colmap", 5, "relative")
    np.testing.assert_allclose(clip.world_to_camera, poses, atol=1e-9)
    np.testing.assert_allclose(clip.K, intrinsics(model)[None].repeat(5, 0), atol=1e-4)
    assert largest_miss(clip, poses) < 1e-4
    assert image_error(clip, poses, 3) < (2 if DISTORTIONS[model] else 0.5), "the wrong image, or not undistorted"
    assert clip.pose_check.error < 0.5
    assert not any("fit" in note for note in clip.notes)


def test_the_judgement_sees_transposed_inverted_and_swapped_poses(tmp_path):
    poses = write_colmap(tmp_path / "c")
    clip = load_clip(tmp_path / "c")
    swap = np.eye(4)[[1, 0, 2, 3]]
    transposed = poses.copy()
    transposed[:, :3, :3] = transposed[:, :3, :3].swapaxes(1, 2)
    scaled = poses.copy()
    scaled[:, :3, 3] *= 1000
    for wrong in (transposed, invert_rigid(poses), swap @ poses, scaled, poses[::-1]):
        clip.world_to_camera = wrong
        assert largest_miss(clip, poses) > 5
    clip.world_to_camera = poses
    clip.K = clip.K.copy()
    clip.K[:, [0, 1], [0, 1]] = clip.K[:, [1, 0], [1, 0]]
    assert image_error(clip, poses, 3) > 5


def test_pycolmap_reads_the_same_cameras(tmp_path):
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    write_colmap(tmp_path / "c", "OPENCV", binary=False)
    folder = tmp_path / "c" / "sparse" / "0"
    (folder / "points3D.txt").write_text("")
    (folder / "images.txt").write_text(  # pycolmap wants points that exist
        "\n".join("" if line.endswith(" 88") else line for line in (folder / "images.txt").read_text().split("\n"))
    )
    judge = pycolmap.Reconstruction(str(folder))
    (tmp_path / "bin").mkdir()
    judge.write_binary(str(tmp_path / "bin"))
    rays = corner.pixel_rays()[::20, ::20].reshape(-1, 3)
    for where in (folder, tmp_path / "bin"):
        cameras, images = read_model(where)
        assert len(images) == 5
        for image in images:
            theirs = next(found for found in judge.images.values() if found.name == image.name)
            np.testing.assert_allclose(image.world_to_camera[:3], theirs.cam_from_world().matrix(), atol=1e-9)
        expected = judge.cameras[7].img_from_cam(rays)
        np.testing.assert_allclose(cameras[7].lens().project(rays), expected, atol=1e-9)


def test_unregistered_images_are_left_out_and_keep_their_time(tmp_path):
    poses = write_colmap(tmp_path / "c", unregistered=(1, 4))
    clip = load_clip(tmp_path / "c", ClipOptions(fps=10))
    np.testing.assert_allclose(clip.times, [0, 0.2, 0.3])
    np.testing.assert_allclose(clip.world_to_camera, poses[[0, 2, 3]], atol=1e-9)
    assert any("2 of 5 images have no pose" in note for note in clip.notes)
    assert image_error(clip, poses[[0, 2, 3]], 1) < 0.5
    with pytest.raises(InputError, match="none of the frames that --start"):
        load_clip(tmp_path / "c", ClipOptions(fps=10, start=0.1, end=0.1))


def test_images_of_another_size_scale_the_model(tmp_path):
    poses = write_colmap(tmp_path / "c", "OPENCV")
    for file in (tmp_path / "c" / "images").iterdir():
        cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), (100, 72), interpolation=cv2.INTER_AREA))
    clip = load_clip(tmp_path / "c")
    np.testing.assert_allclose(clip.K[0], corner.K * [[0.5], [0.5], [1]], atol=1e-4)
    assert image_error(clip, poses, 2) < 4
    assert any("scaled to 100 x 72" in note for note in clip.notes)


def damaged(change):
    def damage(root):
        change(root / "sparse" / "0", root)

    return damage


def shorten(name, length):
    return lambda folder, root: (folder / name).write_bytes((folder / name).read_bytes()[:length])


@pytest.mark.parametrize(
    ("binary", "change", "message"),
    [
        (True, shorten("images.bin", 200), r"images\.bin: truncated after 200 bytes"),
        (True, shorten("cameras.bin", 30), r"cameras\.bin: truncated after 30 bytes"),
        (True, lambda f, r: (f / "cameras.bin").write_bytes(b"\1" + b"\0" * 7 + b"\7\0\0\0\x63" + b"\0" * 99),
         r"camera model number 99 is not one of SIMPLE_PINHOLE"),
        (True, lambda f, r: (r / "images" / "shot_9.png").unlink(), r"1 of the model's 5 images are missing \(shot_9"),
        (False, lambda f, r: (f / "cameras.txt").write_text("7 FOV 200 144 1 2 3 4 5"), "camera model FOV is not one"),
        (False, lambda f, r: (f / "cameras.txt").write_text("7 PINHOLE 200 144 1 2 3"), "needs 4 parameters, not 3"),
        (False, lambda f, r: (f / "cameras.txt").write_text("8 PINHOLE 200 144 171 183 91 78"), "has camera 7, which"),
        (False, lambda f, r: (f / "cameras.txt").write_text("7 PINHOLE 200 200 171 183 91 78"), "of another aspect"),
        (False, lambda f, r: (f / "images.txt").write_text("# none\n"), "no image is registered"),
        (False, lambda f, r: (f / "images.txt").write_text("1 0 0 0 0 0 0 0 7 shot_8.png\n\n"), "has no rotation"),
        (False, lambda f, r: (f / "images.txt").write_text("1 1 0 0 x 0 0 0 7 shot_8.png\n\n"), "is no number of use"),
        (False, lambda f, r: (f / "images.txt").write_text(TWO_FOLDERS), "2 of the model's 2 images are missing"),
        (False, lambda f, r: (f / "images.txt").write_text("1 1 0 0 0 0 0 0 7 a.png\n2 1 0 0 0 0 0 0 7 b.png"),
         "has a second line with its points"),
        (False, lambda f, r: (f / "images.txt").unlink(), "no cameras and images, .bin or .txt, in sparse"),
    ],
)  # fmt: skip
def test_damage_is_told_in_one_sentence(tmp_path, binary, change, message):
    write_colmap(tmp_path / "c", binary=binary)
    change(tmp_path / "c" / "sparse" / "0", tmp_path / "c")
    if "no cameras and images" in message:
        for file in (tmp_path / "c" / "images").iterdir():
            file.unlink()
    with pytest.raises(InputError, match=message) as error:
        load_clip(tmp_path / "c")
    assert "\n" not in str(error.value).split("tried and rejected:")[0]


def in_folders(root, folders):
    """The written model and its images again, image i in `folders[i]`, each with a camera of its own."""
    lines = (root / "sparse" / "0" / "images.txt").read_text().splitlines()
    names = list(dict.fromkeys(folders))
    for i, folder in enumerate(folders):
        (root / "images" / folder).mkdir(exist_ok=True)
        (root / "images" / f"shot_{i + 8}.png").rename(root / "images" / folder / f"shot_{i + 8}.png")
        lines = [
            line.replace(f" 7 shot_{i + 8}.png", f" {7 + names.index(folder)} {folder}/shot_{i + 8}.png")
            for line in lines
        ]
    (root / "sparse" / "0" / "images.txt").write_text("\n".join(lines) + "\n")
    cameras = (root / "sparse" / "0" / "cameras.txt").read_text().splitlines()
    more = [cameras[-1].replace("7 ", f"{7 + i} ", 1) for i in range(1, len(names))]
    (root / "sparse" / "0" / "cameras.txt").write_text("\n".join([*cameras, *more]) + "\n")


@pytest.mark.parametrize("slash", ["/", "\\"])
def test_images_in_one_subfolder_are_read_with_their_masks(tmp_path, slash):
    """COLMAP keeps the path below its image folder in the name; masks lie likewise."""
    root = tmp_path / "c"
    poses = write_colmap(root, binary=False)
    in_folders(root, ["cam0"] * 5)
    file = root / "sparse" / "0" / "images.txt"
    file.write_text(file.read_text().replace("cam0/", f"cam0{slash}"))
    (root / "masks" / "cam0").mkdir(parents=True)
    for i in range(5):
        mask = np.full((corner.HEIGHT, corner.WIDTH), 255, np.uint8)
        mask[:40] = 0
        cv2.imwrite(str(root / "masks" / "cam0" / f"shot_{i + 8}.png.png"), mask)
    clip = load_clip(root)
    assert image_error(clip, poses, 3) < 0.5
    assert clip.tissue_mask(0).mean() == pytest.approx(1 - 40 / corner.HEIGHT)
    assert any("images/cam0/" in note for note in clip.notes)


def test_images_of_several_cameras_are_refused_and_one_can_be_chosen(tmp_path):
    root = tmp_path / "c"
    poses = write_colmap(root, binary=False)
    in_folders(root, ["cam0", "cam0", "cam1", "cam1", "cam1"])
    with pytest.raises(InputError, match=r'cam0: 2, cam1: 3.*--images "cam1/\*"'):
        load_clip(root)
    clip = load_clip(root, ClipOptions(images="cam1/*"))
    np.testing.assert_allclose(clip.world_to_camera, poses[2:], atol=1e-9)
    assert image_error(clip, poses[2:], 1) < 0.5
    assert any("leaves out 2 of the model's 5" in note for note in clip.notes)
    with pytest.raises(InputError, match="no image of the model is like"):
        load_clip(root, ClipOptions(images="cam7/*"))


def test_two_cameras_side_by_side_are_no_one_clip(tmp_path):
    """left_0.png and right_0.png in one folder would alternate."""
    root = tmp_path / "c"
    poses = write_colmap(root, binary=False, count=4)
    in_folders(root, ["left", "left", "right", "right"])
    file = root / "sparse" / "0" / "images.txt"
    text = file.read_text()
    for i, name in enumerate(("left_0", "left_1", "right_0", "right_1")):
        folder = name.split("_")[0]
        (root / "images" / folder / f"shot_{i + 8}.png").rename(root / "images" / f"{name}.png")
        text = text.replace(f"{folder}/shot_{i + 8}.png", f"{name}.png")
    file.write_text(text)
    with pytest.raises(InputError, match=r'--images "left_#\.png"'):
        load_clip(root)
    clip = load_clip(root, ClipOptions(images="right_#"))
    np.testing.assert_allclose(clip.world_to_camera, poses[2:], atol=1e-9)


def test_names_without_folders_find_images_in_the_only_subfolder(tmp_path):
    root = tmp_path / "c"
    poses = write_colmap(root)
    (root / "images" / "left").mkdir()
    for file in list((root / "images").glob("*.png")):
        file.rename(root / "images" / "left" / file.name)
    assert image_error(load_clip(root), poses, 3) < 0.5


def test_two_distorted_cameras_are_refused(tmp_path):
    write_colmap(tmp_path / "c", "RADIAL", binary=False)
    folder = tmp_path / "c" / "sparse" / "0"
    text = (folder / "cameras.txt").read_text()
    (folder / "cameras.txt").write_text(
        text + text.splitlines()[1].replace("7 RADIAL", "8 RADIAL").replace("-0.21", "-0.3")
    )
    (folder / "images.txt").write_text((folder / "images.txt").read_text().replace(" 7 shot_9", " 8 shot_9"))
    with pytest.raises(InputError, match="2 cameras with distortion"):
        load_clip(tmp_path / "c")


def test_depth_beside_a_model_is_compared_with_its_motion(tmp_path):
    poses = write_colmap(tmp_path / "c")
    (tmp_path / "c" / "depth").mkdir()
    for i, pose in enumerate(poses):
        np.save(tmp_path / "c" / "depth" / f"shot_{i + 8}.npy", (corner.see(pose).depth * 20).astype(np.float32))
    clip = load_clip(tmp_path / "c", ClipOptions(depth_unit_mm=0.05))
    assert depth_error(clip, poses, 1) < 1e-5
    assert clip.pose_check.depth_ratio == pytest.approx(1, abs=0.05)
    assert any("disagree about lengths" in note for note in load_clip(tmp_path / "c").notes)
