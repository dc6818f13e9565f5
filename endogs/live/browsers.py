"""Where each browser looks: through the endoscope until its user turns the view, then freely."""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import rotation_from_quaternion
from endogs.live.schedule import Schedule
from endogs.live.viewpoint import Orbit, orbit_of_frame, outside_orbit, pivot

if TYPE_CHECKING:
    import viser

    from endogs.live.studio import Studio

SAME_PLACE, SAME_DIRECTION = 2e-3, 2e-3
"""How far a camera may be from the endoscope's and still count as it: distances to the pivot, radians."""

PICTURE_AT = 1.0
"""Distance from its camera at which viser's page draws the picture, in the scene's units: what is nearer than the near
plane is not drawn."""
SQUARE = 16
"""Pixels of a canvas of no particular shape."""


@dataclass
class Stance:
    """How one browser looks."""

    home: Orbit
    """The browser's own camera while it looks through the endoscope."""
    free: bool = False
    """Whether it looks freely even from home, because its user said so."""
    arrived: bool = False
    """Whether the browser's camera has been at home: only from then on does being elsewhere mean that the user turned
    it. Being at home is looking through the endoscope, so the stray poses on the way there do no harm."""


class Browsers:
    """Keeps the schedule informed of what each browser looks at."""

    def __init__(self, server: "viser.ViserServer", studio: "Studio") -> None:
        """The tissue to turn around is looked for once, in the scene as it is now."""
        self._server, self._studio = server, studio
        self._schedule: Schedule = studio.schedule
        self._lock = threading.Lock()
        self._stances: dict[int, Stance] = {}
        first = studio.scene.nearest_frame(float(studio.scene.times[0]))
        self._pivot = pivot(studio.scene, float(studio.scene.times[0]))
        home = orbit_of_frame(studio.scene, first)
        self._distance = max(float(np.linalg.norm(self._pivot - np.array(home.position))), 1e-6)
        up = -rotation_from_quaternion(np.array(home.wxyz))[:, 1]
        server.scene.set_up_direction(up)
        server.initial_camera.position = np.array(home.position)
        server.initial_camera.look_at = self._target(home)
        server.initial_camera.up = up
        server.initial_camera.fov = home.fov
        server.initial_camera.near = min(self._distance / 200, PICTURE_AT / 2)
        overview, middle = outside_orbit(studio.scene, float(studio.scene.times[0]), (SQUARE, SQUARE))
        self._farthest = max(self._distance * 20, 4 * float(np.linalg.norm(middle - np.array(overview.position))))
        server.initial_camera.far = 2.5 * self._farthest
        server.on_client_connect(self._connected)
        server.on_client_disconnect(self._left)

    def endoscope(self, browser: int) -> None:
        """Look through the endoscope."""
        self._place(browser, free=False)

    def reset(self, browser: int) -> None:
        """Look freely, from where the endoscope is now."""
        self._place(browser, free=True)

    def outside(self, browser: int) -> None:
        """Look at the whole map from outside, as it is now."""
        where = self._schedule.look(browser)
        if where is not None and min(where[0]) > 0:
            scene, now = self._studio.scene, self._studio.session.timeline.now()
            self._place(browser, True, *outside_orbit(scene, now, where[0]))

    def _place(
        self, browser: int, free: bool, home: Orbit | None = None, target: NDArray[np.float64] | None = None
    ) -> None:
        """Moves a browser's camera to `home`, to turn around `target` (3,); by default that of the endoscope now."""
        client = self._server.get_clients().get(browser)
        with self._lock:
            stance = self._stances.get(browser)
            if client is None or stance is None:
                return
            stance.home = home or orbit_of_frame(self._studio.scene, self._studio.session.timeline.frame)
            stance.free, stance.arrived = free, False
            canvas = (client.camera.image_width, client.camera.image_height)
            self._schedule.update(browser, canvas, stance.home if free else None)
        with client.atomic():
            client.camera.up_direction = -rotation_from_quaternion(np.array(stance.home.wxyz))[:, 1]
            client.camera.position = np.array(stance.home.position)
            client.camera.look_at = self._target(stance.home) if target is None else target
            client.camera.fov = stance.home.fov

    async def _connected(self, client: "viser.ClientHandle") -> None:
        # Coroutines run in the server's loop, in the order of the messages; a thread pool would shuffle them.
        client.camera.min_orbit_distance = self._distance / 50
        client.camera.max_orbit_distance = self._farthest
        with self._lock:
            frame = self._studio.session.timeline.frame
            self._stances[client.client_id] = Stance(orbit_of_frame(self._studio.scene, frame))

        @client.camera.on_update
        async def moved(camera: "viser.CameraHandle") -> None:
            self._moved(client.client_id, camera)

        self._moved(client.client_id, client.camera)
        if not self._stances[client.client_id].arrived:  # a browser that was there before the scene was
            self._place(client.client_id, free=False)

    async def _left(self, client: "viser.ClientHandle") -> None:
        with self._lock:
            self._stances.pop(client.client_id, None)
        self._schedule.remove(client.client_id)

    def _moved(self, browser: int, camera: "viser.CameraHandle") -> None:
        w, x, y, z = (float(value) for value in camera.wxyz)
        px, py, pz = (float(value) for value in camera.position)
        seen = Orbit((w, x, y, z), (px, py, pz), float(camera.fov))
        with self._lock:
            stance = self._stances.get(browser)
            if stance is None:
                return
            at_home = self._is_home(seen, stance.home)
            stance.arrived = stance.arrived or at_home
            freely = stance.free or (stance.arrived and not at_home)
            canvas = (camera.image_width, camera.image_height)
            self._schedule.update(browser, canvas, seen if freely else None)

    def _is_home(self, seen: Orbit, home: Orbit) -> bool:
        offset = np.linalg.norm(np.subtract(seen.position, home.position))
        turn = abs(float(np.dot(seen.wxyz, home.wxyz)) / max(float(np.linalg.norm(seen.wxyz)), 1e-9))
        angle = 2 * np.arccos(min(1.0, turn / max(float(np.linalg.norm(home.wxyz)), 1e-9)))
        return bool(offset <= SAME_PLACE * self._distance and angle <= SAME_DIRECTION)

    def _target(self, home: Orbit) -> np.ndarray:
        """The point on the camera's axis that is nearest to the pivot, and in front of it."""
        axis = rotation_from_quaternion(np.array(home.wxyz))[:, 2]
        along = float(np.dot(self._pivot - np.array(home.position), axis))
        return np.asarray(np.array(home.position) + axis * max(along, 0.2 * self._distance))
