"""Videos: what each kind shows, at which moments, and that the clip is asked for only where it is needed."""

from dataclasses import replace
from inspect import signature

import av
import cv2
import numpy as np
import pytest
from samples.player_scenes import sheet

import endogs.export.video as export_video_file
from endogs.cli import main
from endogs.depth_colors import color_depth
from endogs.export.config import ExportVideo
from endogs.export.orbit import orbiting
from endogs.export.video import export_video
from endogs.geometry import invert_rigid
from endogs.pictures import render_command, video
from endogs.pictures.scene_frames import picture, scene_depth_range
from endogs.scene.origin import Origin
from endogs.scene.scene_file import save_scene


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(pictures), float(stream.average_rate), container.metadata.get("comment", "")


def close(one, other):
    return np.abs(one.astype(float) - other).mean() < 6  # of 255, which 4:2:0 and quantization take


@pytest.fixture
def with_clip(tmp_path):
    """A scene with its clip: flat green, with a blue instrument in a corner of frames 0 to 3."""
    scene = sheet()
    folder = tmp_path / "clip"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for frame in range(len(scene.times)):
        image = np.full((scene.height, scene.width, 3), (40, 160, 40), np.uint8)
        mask = np.zeros((scene.height, scene.width), np.uint8)
        if frame < 4:
            mask[40:60, 20:50] = 255
            image[mask > 0] = 255, 0, 0  # BGR
        cv2.imwrite(str(folder / "images" / f"{frame:06d}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"{frame:06d}.png"), mask)
    options = {"fps": 5, "borders": "keep"}
    scene.origin = Origin(clip=str(folder), clip_options=options, masks="given")
    save_scene(scene, tmp_path / "scene.safetensors")
    return scene, tmp_path


@pytest.mark.parametrize(("rendered", "exported"), [("color", "render"), ("depth", "depth")])
def test_endogs_render_writes_the_same_video(tmp_path, monkeypatch, rendered, exported):
    """All that goes into the encoder is the same to the bit; x264 itself does not always make the same file of it."""
    encode, given = video.write_video, []

    def noted(path, frames, *about, **more):
        pictures = list(frames)
        called = signature(encode).bind(path, pictures, *about, **more)
        called.apply_defaults()
        given.append(called.arguments)
        return encode(path, iter(pictures), *about, **more)

    monkeypatch.setattr(render_command, "write_video", noted)
    monkeypatch.setattr(export_video_file, "write_video", noted)
    save_scene(sheet(), tmp_path / "scene.safetensors")
    assert main(["render", str(tmp_path), "--out", str(tmp_path / "a.mp4"), "--what", rendered]) == 0
    assert main(["export", "video", str(tmp_path), "--out", str(tmp_path / "b.mp4"), "--what", exported]) == 0
    one, other = given
    assert one.keys() == other.keys()
    for name in one.keys() - {"path"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert len(one["frames"]) == len(sheet().times)
    assert frames_of(tmp_path / "a.mp4")[1:] == frames_of(tmp_path / "b.mp4")[1:]


def test_render_and_depth_show_the_scene(tmp_path):
    scene = sheet()
    for what in ("render", "depth"):
        assert export_video(scene, ExportVideo(tmp_path, what=what), tmp_path / f"{what}.mp4") == len(scene.times)
    pictures, rate, comment = frames_of(tmp_path / "render.mp4")
    assert rate == pytest.approx(5)
    assert comment == "endogs render; units millimetres"
    assert close(pictures[3], picture(scene, float(scene.times[3]))[0])
    depths, _, comment = frames_of(tmp_path / "depth.mp4")
    low, high = scene_depth_range(scene)
    assert comment == f"endogs depth; units millimetres; depth colours turbo, blue {low:.6g} to red {high:.6g}"
    expected = color_depth(picture(scene, float(scene.times[3]))[1], low, high)
    assert close(depths[3].mean(2), expected.mean(2))  # 4:2:0 blurs turbo's hues
    assert not close(depths[3].mean(2), expected[:, ::-1].mean(2))


def test_size_rate_and_quality_are_those_asked_for(tmp_path):
    scene, sizes = sheet(), []
    for crf in (10, 40):
        config = ExportVideo(tmp_path, scale=0.5, fps=20, crf=crf)
        assert export_video(scene, config, tmp_path / "a.mp4") == 25  # 1.2 s and both ends
        sizes.append((tmp_path / "a.mp4").stat().st_size)
    pictures, rate, _ = frames_of(tmp_path / "a.mp4")
    assert (pictures.shape[1:3], rate) == ((36, 48), 20)
    assert sizes[0] > 1.5 * sizes[1]
    config = ExportVideo(tmp_path, fps=20, crf=4)
    export_video(scene, config, tmp_path / "b.mp4")
    assert close(frames_of(tmp_path / "b.mp4")[0][7], picture(scene, 7 / 20)[0])  # between two frames of the clip


def test_the_orbit_turns_about_the_tissue_and_comes_back():
    scene = sheet(moving_camera=True)
    camera = scene.camera(3)
    pivot = (invert_rigid(scene.world_to_camera[3]) @ [0, 0, 60, 1])[:3]
    eyes = []
    for phase in np.linspace(0, 1, 33):
        moved = orbiting(camera, 60.0, phase, 10.0).world_to_camera.double().numpy()
        seen = moved @ [*pivot, 1]
        np.testing.assert_allclose(seen[:3], [0, 0, 60], atol=1e-4)  # still in the middle, at the same distance
        eyes.append(invert_rigid(moved)[:3, 3] - pivot)
    eyes = np.array(eyes) / 60
    np.testing.assert_allclose(eyes[[0, -1]], eyes[[0, 0]], atol=1e-6)
    angles = np.degrees(np.arccos(np.clip(eyes @ eyes[0], -1, 1)))
    assert 9.5 < angles.max() < 10.01


def test_a_still_moment_orbits_for_six_seconds(tmp_path):
    scene = sheet(still=True, frames=1)
    config = ExportVideo(tmp_path, what="orbit", scale=0.5, fps=4)
    assert export_video(scene, config, tmp_path / "o.mp4") == 24
    pictures, _, _ = frames_of(tmp_path / "o.mp4")
    assert close(pictures[0], picture(scene, 0.0, 0.5)[0])
    assert not close(pictures[6], pictures[0])


def test_instruments_give_way_to_the_rendering_and_nothing_else_does(with_clip):
    scene, folder = with_clip
    assert main(["export", "video", str(folder), "--what", "instruments-removed", "--crf", "4"]) == 0
    pictures, _, _ = frames_of(folder / "instruments-removed.mp4")
    green = np.array([40, 160, 40])
    rendered = picture(scene, float(scene.times[1]))[0]
    assert close(pictures[1][44:56, 26:44], rendered[44:56, 26:44])
    assert close(pictures[1][:28], green)
    assert close(pictures[5], green)  # no instrument in this frame
    blue = (pictures[1][..., 2] > 150) & (pictures[1][..., 0] < 60)
    assert not blue.any()


def test_side_by_side_is_clip_rendering_and_depth(with_clip):
    scene, folder = with_clip
    assert main(["export", "video", str(folder), "--what", "side-by-side", "--crf", "6"]) == 0
    pictures, _, comment = frames_of(folder / "side-by-side.mp4")
    assert pictures.shape[1:3] == (scene.height, 3 * scene.width)
    assert "turbo" in comment
    assert close(pictures[5][:, :96], np.array([40, 160, 40]))
    assert close(pictures[5][:, 96:192], picture(scene, float(scene.times[5]))[0])


def test_a_missing_clip_matters_only_where_it_is_needed(with_clip, capsys):
    _, folder = with_clip
    (folder / "clip").rename(folder / "elsewhere")
    assert main(["export", "video", str(folder), "--what", "render"]) == 0
    for what in ("side-by-side", "instruments-removed"):
        assert main(["export", "video", str(folder), "--what", what]) == 2
        assert "is not there any more as a folder or a video; name it with --clip" in capsys.readouterr().err
        assert not (folder / f"{what}.mp4").exists()
    moved = ["--clip", str(folder / "elsewhere"), "--what", "instruments-removed"]
    assert main(["export", "video", str(folder), *moved]) == 0


def test_a_clip_without_instruments_is_told(with_clip, capsys):
    scene, folder = with_clip
    scene.origin = replace(scene.origin, masks="none")
    save_scene(scene, folder / "scene.safetensors")
    assert main(["export", "video", str(folder), "--what", "instruments-removed"]) == 2
    assert "there is nothing to remove" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scale", "0"], "above 0"),
        (["--fps", "0"], "give 1 to 240"),
        (["--crf", "60"], "give 1 to 51"),
        (["--orbit-degrees", "90"], "up to 60"),
        (["--orbit-degrees", "9"], "--orbit-degrees is not used by --what render"),
        (["--clip", "clip"], "--clip is not used by --what render"),
        (["--out", "a.avi"], "end the name in .mp4"),
    ],
)
def test_bad_requests_are_sentences(options, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_scene(sheet(), tmp_path / "scene.safetensors")
    assert main(["export", "video", ".", *options]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scene.safetensors"]


@pytest.mark.parametrize("what", ["render", "depth", "orbit", "instruments-removed", "side-by-side"])
def test_frames_without_a_pose_say_so(what, with_clip, monkeypatch):
    scene, folder = with_clip
    shown = []
    monkeypatch.setattr(export_video_file, "write_video", lambda path, frames, *about: shown.append(list(frames)))
    lacking = replace(scene, origin=replace(scene.origin, unplaced_frames=(2,)))
    for one in (scene, lacking):
        export_video(one, ExportVideo(folder, folder / "x.mp4", what=what), folder / "x.mp4")
    same = [np.array_equal(a, b) for a, b in zip(*shown, strict=True)]
    assert same == [frame != 2 for frame in range(len(scene.times))]
