"""A scene as the bytes that the shareable player unpacks, and back.

Before deflate: the header's length (uint32, little-endian), the header (JSON), then the sections' bytes in the order in
which the header lists them (`byte_planes`): `base` (14 rows), `steps` (2 rows: half octaves by which the steps of a
Gaussian's positions, and of all else, differ from the group's), and one section per group of control channels.
`viewer/payload.js` is the player's half.
"""

import json
import struct
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.export.html.byte_planes import pack_rows, unpack_rows
from endogs.export.html.spline_coding import CodedControl, decode_control, encode_control
from endogs.gaussians import CHANNELS, COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation

FORMAT, VERSION = "endogs-player", 1

GROUPS: dict[str, tuple[slice, float]] = {
    "means": (MEANS, 0.09),
    "quats": (QUATS, 0.07),
    "log_scales": (LOG_SCALES, 0.07),
    "opacity_logits": (slice(OPACITY, OPACITY + 1), 0.25),
    "colors": (COLORS, 0.010),
}
"""Channels of each group and the step of its control points; positions in pixel footprints, the rest in its own unit.
Chosen so that all groups cost about the same PSNR per byte, on two clips; docs/EXPERIMENTS.md has the loss."""
BASE_STEPS = {"means": 0.03, "quats": 0.01, "log_scales": 0.02, "opacity_logits": 0.05, "colors": 1 / 512}
"""Steps of the canonical Gaussians, likewise."""
FINEST, COARSEST = 0.5, 4.0
"""A Gaussian's steps lie between these multiples of its group's: what shows in many pixels is kept finer."""
LARGEST_INTEGER = 2**30
"""Steps from the middle at which canonical Gaussians are held."""
SIXTEEN_BITS = 32767
"""The player holds control points as 16-bit integers."""


def pack_scene(
    scene: Scene, weights: NDArray[np.float32], about: dict[str, Any], fineness: float = 1.0, level: int = 9
) -> bytes:
    """The deflated payload of a scene with spline or no deformation; `about` joins the header.

    `weights` (N,) are the Gaussians' contributions in pixels (`importance.contributions`); `fineness` multiplies every
    step; `level` is deflate's effort, 1 to 9, of which the last is slow.
    """
    base = scene.base.detach().cpu().float().numpy().astype(np.float64)
    control = _control(scene)
    lengths = np.linalg.norm(base[:, QUATS], axis=1)
    lengths = np.where(lengths > 0, lengths, 1.0)  # a shorter quaternion turns more per offset; a unit one is codable
    base[:, QUATS] /= lengths[:, None]

    footprint = _footprints(scene, base)
    order = _along_a_curve(scene, base)
    base, footprint = base[order], footprint[order]
    relevance = np.clip((weights[order] / max(float(np.median(weights)), 1e-9) + 1e-9) ** -0.5, FINEST, COARSEST)
    # The step of everything but positions, and of positions, in half octaves.
    exponents = np.rint(2 * np.log2(np.stack([relevance * footprint, relevance]))).astype(np.int32)
    multiples = np.exp2(exponents / 2).astype(np.float32)

    steps = np.concatenate([np.full(_width(name), step) for name, step in BASE_STEPS.items()])
    steps[MEANS] *= np.median(footprint)
    steps *= fineness
    origin = np.median(base, axis=0)
    # What is farther away than that, or larger, is beyond every picture there too.
    places = np.clip(np.rint((base - origin) / steps), -LARGEST_INTEGER, LARGEST_INTEGER)
    sections = [("base", places.astype(np.int32).T), ("steps", exponents)]
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "count": len(base),
        "units": scene.units,
        "width": scene.width,
        "height": scene.height,
        "times": scene.times.tolist(),
        "cameras": _cameras(scene),
        "base": {"origin": origin.tolist(), "steps": steps.tolist()},
        "deformation": {"kind": scene.deformation.kind, "groups": []},
        **about,
    }
    if control is not None:
        knots, offsets = control
        offsets = offsets[:, order]
        offsets[..., QUATS] /= lengths[order][None, :, None]
        header["deformation"] |= {"breakpoints": list(knots.breakpoints)}
        for name, (channels, step) in GROUPS.items():
            scale = multiples[0 if name == "means" else 1]
            coded = encode_control(offsets[..., channels], knots, step * fineness, scale)
            largest = float(np.abs(decode_control(coded, scale)).max(initial=0.0))
            group = {"name": name, "first": channels.start, "decoder": coded.decoder.T.tolist()}
            header["deformation"]["groups"].append({**group, "resolution": largest / SIXTEEN_BITS})
            sections.append((name, coded.integers.reshape(-1, len(base))))
    return _deflated(header, sections, level)


def unpack_scene(payload: bytes) -> tuple[Scene, dict[str, Any]]:
    """The scene that the player shows, rounding included, and the payload's header.

    Raises ValueError for bytes that `pack_scene` did not make.
    """
    try:
        data = zlib.decompress(payload)
    except zlib.error as error:
        raise ValueError(f"not a player's payload ({error})") from error
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    rows, at = {}, 4 + length
    for section in header["sections"]:
        size = sum(section["widths"]) * header["count"]
        rows[section["name"]] = unpack_rows(data[at : at + size], section["widths"], header["count"])
        at += size
    base = rows["base"].T * np.array(header["base"]["steps"]) + np.array(header["base"]["origin"])
    multiples = np.exp2(rows["steps"] / 2).astype(np.float32)
    described = header["deformation"]
    deformation: SplineDeformation | StaticDeformation = StaticDeformation()
    if described["kind"] == "spline":
        knots = Knots(tuple(described["breakpoints"]))
        control = np.zeros((knots.count, len(base), CHANNELS), np.float32)
        for group in described["groups"]:
            decoder = np.array(group["decoder"]).reshape(-1, knots.count).T
            integers = rows[group["name"]].reshape(decoder.shape[1], _width(group["name"]), len(base))
            offsets = decode_control(CodedControl(integers, decoder), multiples[0 if group["name"] == "means" else 1])
            if group["resolution"] > 0:
                offsets = np.rint(offsets / group["resolution"]).astype(np.float32) * np.float32(group["resolution"])
            control[..., group["first"] : group["first"] + offsets.shape[2]] = offsets
        deformation = SplineDeformation(torch.from_numpy(control), knots)
    times = np.array(header["times"])
    K, poses = (np.array(header["cameras"][name]) for name in ("K", "world_to_camera"))
    scene = Scene(
        torch.from_numpy(np.ascontiguousarray(base, np.float32)),
        deformation,
        times,
        np.broadcast_to(K, (len(times), 3, 3)).copy(),
        np.broadcast_to(poses, (len(times), 4, 4)).copy(),
        header["width"],
        header["height"],
        header["units"],
    )
    return scene, header


def _deflated(header: dict[str, Any], sections: list[tuple[str, NDArray[np.int32]]], level: int) -> bytes:
    packed = [(name, *pack_rows(rows)) for name, rows in sections]
    header["sections"] = [{"name": name, "widths": widths} for name, _, widths in packed]
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    return zlib.compress(b"".join([struct.pack("<I", len(text)), text, *(data for _, data, _ in packed)]), level)


def _control(scene: Scene) -> tuple[Knots, NDArray[np.float32]] | None:
    knots = scene.deformation.spline_knots
    return None if knots is None else (knots, scene.deformation.tensors()["control"].detach().cpu().float().numpy())


def _cameras(scene: Scene) -> dict[str, Any]:
    frames = slice(0, 1) if scene.static_camera else slice(None)
    return {"K": scene.K[frames].tolist(), "world_to_camera": scene.world_to_camera[frames].tolist()}


def _footprints(scene: Scene, base: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) width of a pixel at each Gaussian's depth in the first camera, never less than a tenth of the median's."""
    pose = scene.world_to_camera[0]
    footprint = (base[:, MEANS] @ pose[2, :3] + pose[2, 3]) / scene.K[0, 0, 0]
    known = footprint[footprint > 0]
    return np.maximum(footprint, 0.1 * float(np.median(known)) if len(known) else 1e-6)


def _along_a_curve(scene: Scene, base: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) the Gaussians along a Morton curve over the first image: neighbours move alike, which deflate sees."""
    pose = scene.world_to_camera[0]
    seen = base[:, MEANS] @ pose[:3, :3].T + pose[:3, 3]
    image = seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)
    low, high = np.percentile(image, [1, 99], axis=0)
    cells = np.clip((image - low) / np.maximum(high - low, 1e-12) * 1023, 0, 1023).astype(np.int64)
    key = np.zeros(len(base), np.int64)
    for bit in range(10):
        key |= (cells[:, 0] >> bit & 1) << 2 * bit | (cells[:, 1] >> bit & 1) << 2 * bit + 1
    return np.argsort(key, kind="stable")


def _width(name: str) -> int:
    channels = GROUPS[name][0]
    return channels.stop - channels.start
