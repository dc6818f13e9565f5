"""The clip's cameras over free views, and the look at the whole map from outside."""

from dataclasses import replace

import numpy as np
import pytest
from samples.live_client import CANVAS, LookingClient, until
from samples.live_scene import DISTANCE, FRAMES, stretching_scene

from endogs.live.camera_path import FUTURE_COLOR, LOST_COLOR, PAST_COLOR, PRESENT_COLOR, CameraPath
from endogs.live.panels.time_panel import camera_state
from endogs.live.playback import Playback
from endogs.live.server import LiveServer
from endogs.live.studio import Studio
from endogs.live.viewer_gui import ViewerGui
from endogs.live.viewpoint import endoscope_view, orbit_view, outside_orbit
from endogs.scene.origin import Origin


def moving_scene():
    """The sheet, past which the camera goes by 5 mm a frame."""
    scene = stretching_scene()
    poses = scene.world_to_camera.copy()
    poses[:, 0, 3] += 5.0 * np.arange(FRAMES)
    return replace(scene, world_to_camera=poses)


def pixels_of(image, color):
    return int((np.abs(image.astype(int) - color).max(-1) <= 8).sum())


def outside(studio, canvas=(600, 400)):
    look, _ = outside_orbit(studio.scene, studio.session.timeline.now(), canvas)
    return studio.picture(look, canvas).image


def test_from_outside_the_whole_map_and_all_cameras_are_in_the_picture():
    scene = moving_scene()
    for canvas in ((600, 400), (300, 500)):
        look, middle = outside_orbit(scene, 0.5, canvas)
        view = orbit_view(look, canvas)
        centres = -np.einsum("fji,fj->fi", scene.world_to_camera[:, :3, :3], scene.world_to_camera[:, :3, 3])
        for points in (scene.packed_at(0.5)[:, :3].double().numpy(), centres):
            pixels, front = view.project(points)
            assert front.all()
            inside = ((pixels >= -4) & (pixels <= np.array(canvas) + 4)).all(1)
            assert inside.mean() > 0.95
        spread = np.ptp(view.project(scene.packed_at(0.5)[:, :3].double().numpy())[0], axis=0)
        assert (spread / canvas).max() > 0.5, "and not as a dot"
        assert np.abs(view.project(middle[None])[0][0] - np.array(canvas) / 2).max() < 1


def test_pyramids_stand_where_the_cameras_were_and_show_what_they_saw():
    scene = moving_scene()
    path = CameraPath.of(scene, DISTANCE)
    for frame in (0, FRAMES - 1):
        view = endoscope_view(scene, float(scene.times[frame]), (scene.width, scene.height))
        corners = view.project(path.corners[frame])[0]
        expected = [(0, 0), (scene.width, 0), (scene.width, scene.height), (0, scene.height)]
        np.testing.assert_allclose(corners, expected, atol=1e-3)
        np.testing.assert_allclose((scene.world_to_camera[frame] @ [*path.centres[frame], 1])[:3], 0, atol=1e-9)
    assert len(path.drawn) == FRAMES
    assert len(CameraPath.of(stretching_scene(), DISTANCE).drawn) == 1


def test_the_present_frame_stands_out_and_the_path_is_bright_up_to_it():
    studio = Studio(moving_scene())
    assert studio.session.cameras
    shown = []
    for frame in (0, FRAMES - 1):
        studio.session.timeline.seek(float(studio.scene.times[frame]))
        image = outside(studio)
        shown.append([pixels_of(image, color) for color in (PRESENT_COLOR, PAST_COLOR, FUTURE_COLOR)])
    (present, past, future), (still_present, later_past, later_future) = shown
    assert min(present, still_present) > 30
    assert past < 0.1 * later_past  # a few pixels of the tissue may have the same colour
    assert later_future < 0.1 * future


def test_a_frame_without_a_pose_is_red_and_named():
    scene = moving_scene()
    studio = Studio(replace(scene, origin=Origin(cameras="tracked", unplaced_frames=(1,))))
    said = []
    for frame in (0, 1):
        studio.session.timeline.seek(float(scene.times[frame]))
        image = outside(studio)
        said.append((camera_state(studio.scene.origin, studio.session.timeline.frame), pixels_of(image, LOST_COLOR)))
    assert said[0] == (", camera tracked", 0)
    assert said[1][0] == ", **no pose was found**"
    assert said[1][1] > 30
    assert camera_state(Origin(), 0) == ""


def test_cameras_are_not_drawn_where_they_would_sit_in_the_way():
    still, moving = Studio(stretching_scene()), Studio(moving_scene())
    assert pixels_of(outside(still), PRESENT_COLOR) == 0
    still.session.show_cameras(True)
    assert pixels_of(outside(still), PRESENT_COLOR) > 30
    before = outside(moving)
    moving.session.show_cameras(False)
    assert pixels_of(before, PRESENT_COLOR) > 30 > pixels_of(outside(moving), PRESENT_COLOR)
    moving.session.show_cameras(True)
    through = moving.picture(None, (300, 240)).image
    moving.session.show_cameras(False)
    assert (moving.picture(None, (300, 240)).image == through).all(), "nothing over the endoscope's own view"


def test_a_browser_looks_from_outside_and_comes_back():
    studio = Studio(moving_scene())
    server = LiveServer("127.0.0.1", 0)
    ViewerGui(server.viser, studio, "sheet")
    playback = Playback(studio)
    client = LookingClient(server.url)
    try:
        group = client.wait_for("GuiButtonGroupMessage", lambda sent: "Outside view" in sent["props"]["options"])
        client.look((500.0, 0, 0), CANVAS)
        until(lambda: studio.schedule.browsers())
        (number,) = studio.schedule.browsers()
        expected = outside_orbit(studio.scene, studio.session.timeline.now(), CANVAS)[0]
        client.send({"type": "GuiUpdateMessage", "uuid": group["uuid"], "updates": {"value": "Outside view"}})
        until(lambda: studio.schedule.look(number)[1] is not None)
        assert studio.schedule.look(number)[1].position == pytest.approx(expected.position)
        client.send({"type": "GuiUpdateMessage", "uuid": group["uuid"], "updates": {"value": "Endoscope"}})
        until(lambda: studio.schedule.look(number)[1] is None)
    finally:
        client.close()
        playback.stop()
        server.stop()
