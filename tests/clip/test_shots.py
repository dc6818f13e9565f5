"""What makes a clip more than one shot of moving tissue is named with its moment, and real motion is not."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from written_videos import write

from endogs.clip import load_clip
from endogs.clip.checks.colour_switch import find_switches
from endogs.clip.checks.shots import shot_notes
from endogs.clip.config import ClipOptions

WIDTH, HEIGHT = 160, 128


def scene(seed: int, margin: int = 300) -> np.ndarray:
    """float32 (H + margin, W + margin, 3): red texture in three sizes."""
    generator, shape = np.random.default_rng(seed), (HEIGHT + margin, WIDTH + margin)
    texture = np.zeros(shape, np.float32)
    for cell, weight in ((24, 0.5), (10, 0.3), (4, 0.2)):
        coarse = generator.random((shape[0] // cell + 2, shape[1] // cell + 2), np.float32)
        texture += weight * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.stack([90 + 130 * texture, 30 + 75 * texture, 28 + 65 * texture], -1)


def moving(count: int, seed: int = 1, speed: float = 1.5) -> list[np.ndarray]:
    """Frames (H, W, 3) of a camera that moves by `speed` pixels a frame over a scene, with sensor noise."""
    texture, noise, frames = scene(seed), np.random.default_rng(seed), []
    for index in range(count):
        x = round(speed * index) % 290
        view = texture[x // 2 : x // 2 + HEIGHT, x : x + WIDTH]
        frames.append(np.clip(view + noise.normal(0, 2, view.shape), 0, 255).astype(np.uint8))
    return frames


def notes_of(path: Path, frames: list[np.ndarray], options: ClipOptions | None = None) -> list[str]:
    return shot_notes(load_clip(write(path / "clip.mp4", frames), options))


CARD = cv2.putText(np.full((HEIGHT, WIDTH, 3), (20, 40, 120), np.uint8), "Case 4", (20, 60), 0, 1.0, (255, 255, 255))
BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
FAULTY = {
    "cut": (moving(14) + moving(10, 9), "a cut to another scene at 0.560 s (frame 14)", 14),
    "title card": ([CARD] * 8 + moving(16), "a still picture from 0.000 s (frame 0) to 0.280 s (frame 7)", 16),
    "narrow-band light": (
        moving(15) + [np.ascontiguousarray(frame[..., [1, 0, 2]]) for frame in moving(24)[15:]],
        "a switch to other colours at 0.600 s (frame 15)",
        15,
    ),
    "green of a decoder": (
        moving(7) + [np.full_like(BLACK, (0, 135, 0))] * 2 + moving(24)[9:],
        "one flat colour from 0.280 s (frame 7) to 0.320 s (frame 8)",
        15,
    ),
    "black, and a still picture": (
        [BLACK] * 6 + moving(9) + [moving(9)[-1]] * 15,
        "black from 0.000 s (frame 0) to 0.200 s (frame 5), a still picture from 0.560 s",
        8,
    ),
    "frozen end": (
        moving(9) + [moving(9)[-1]] * 15,
        "a still picture from 0.320 s (frame 8) to 0.920 s (frame 23)",
        8,
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_is_named_with_its_moment_and_the_options_that_leave_it_out(name: str, tmp_path: Path) -> None:
    """The options of the note are followed: the clip that they give has the promised length and no note."""
    frames, named, kept = FAULTY[name]
    (note,) = notes_of(tmp_path, frames)
    assert named in note
    chosen = {option: float(value) for option, value in re.findall(r"--(start|end) ([\d.]+)", note)}
    options = replace(ClipOptions(), **chosen)
    assert len(load_clip(tmp_path / "clip.mp4", options)) == kept
    assert shot_notes(load_clip(tmp_path / "clip.mp4", options)) == []


@pytest.mark.parametrize("before", [0, 12])
def test_black_frames_which_a_fit_leaves_out_by_itself_ask_for_no_option(before: int, tmp_path: Path) -> None:
    """--end would throw away what comes after them."""
    (note,) = notes_of(tmp_path, moving(24)[:before] + [BLACK] * 40 + moving(24)[12:])
    assert f"black from {before / 25:.3f} s (frame {before})" in note
    assert "reconstruct leaves black frames out" in note
    assert "--" not in note


def test_every_frame_twice_names_the_stride_that_works(tmp_path: Path) -> None:
    twice = [frame for frame in moving(12) for _ in range(2)]
    (note,) = notes_of(tmp_path, twice)
    assert "12 of 24" in note
    assert "--stride 2" in note
    assert shot_notes(load_clip(tmp_path / "clip.mp4", ClipOptions(stride=2))) == []


def test_two_eyes_by_turns_name_the_stride_that_keeps_one(tmp_path: Path) -> None:
    eyes = [np.roll(frame, -6 * (index % 2), 1) for index, frame in enumerate(moving(24, speed=0.5))]
    (note,) = notes_of(tmp_path, eyes)
    assert "recorded by turns: --stride 2" in note
    assert shot_notes(load_clip(tmp_path / "clip.mp4", ClipOptions(stride=2))) == []


def crossed(frames: list[np.ndarray]) -> list[np.ndarray]:
    """A grey instrument as wide as a third of the picture crosses within ten frames."""
    frames = [frame.copy() for frame in frames]
    for step, frame in enumerate(frames[6:16]):
        frame[:, max(0, 25 * step - 50) : 25 * step] = (150, 155, 160)
    return frames


def lit(frames: list[np.ndarray], gains: list[float]) -> list[np.ndarray]:
    pairs = zip(frames, np.resize(gains, len(frames)), strict=True)
    return [np.clip(frame.astype(np.float32) * gain, 0, 255).astype(np.uint8) for frame, gain in pairs]


FLASH = moving(24)[:9] + [np.full_like(BLACK, 255)] * 2 + moving(24)[11:]
LIVING = {
    "slow": moving(24, speed=0.2),
    "fast": moving(24, speed=12),
    "sudden": moving(12, speed=0.5) + [np.roll(frame, 25, 1) for frame in moving(12, speed=0.5)],
    "flash": FLASH,
    "blinking": lit(moving(24), [1.0, 0.35]),
    "flickering off": lit(moving(24), [1.0, 1.0, 1.0, 0.0]),
    "dimming": lit(moving(24), list(np.linspace(1, 0.2, 24))),
    "instrument": crossed(moving(24)),
    "still camera and tissue": moving(24, speed=0.0),
}


@pytest.mark.parametrize("name", LIVING)
def test_motion_light_and_instruments_are_no_fault(name: str, tmp_path: Path) -> None:
    assert notes_of(tmp_path, LIVING[name]) == []


def test_a_long_clip_is_sampled_and_the_moment_is_still_exact(tmp_path: Path) -> None:
    """Of 400 frames every second is looked at; the cut at an odd one is found by halving."""
    (note,) = notes_of(tmp_path, moving(201, speed=0.5) + moving(199, 9, speed=0.5))
    assert "a cut to another scene at 8.040 s (frame 201)" in note


def test_colours_that_change_within_some_frames_are_no_switch() -> None:
    """Of frames far apart the two around a slow change differ as much as around a switch."""
    red, pale = np.array([0.5, 0.26, 0.24]), np.array([0.42, 0.31, 0.27])
    for length, switches in ((1, [200]), (30, [])):
        share = np.clip((np.arange(400) - 199) / length, 0, 1)[:, None]
        colours = red + share * (pale - red)
        assert find_switches(lambda i, colours=colours: colours[i], range(0, 400, 40)) == switches
