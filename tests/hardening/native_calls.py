"""Calls every function of the compiled module with arguments that are wrong, seeded. Run as a program: a crash must not
take the tests along.

    native_calls.py SEED CASES NOTE

Every array lies between guards, so that a write beyond its end is seen. NOTE is a file that holds the call under way,
for whoever finds the process dead. Prints JSON: how many calls returned and how many were refused, by function.
"""

import copy
import faulthandler
import json
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from endogs import native

GUARD = 4096
"""Bytes before and behind every array."""
WIDTH, HEIGHT, COUNT, FEATURES = 37, 21, 30, 3
REFUSALS = (TypeError, ValueError, MemoryError, OverflowError, RuntimeError)
"""What a call may end in: nanobind says TypeError for kinds of arguments, the kernels ValueError for sizes."""


class Guarded:
    """Arrays between guards."""

    def __init__(self) -> None:
        self.blocks = []

    def __call__(self, values):
        values = np.ascontiguousarray(values)
        block = np.full(2 * GUARD + values.nbytes + 64, 0xA5, np.uint8)
        start = GUARD + (-(block.ctypes.data + GUARD)) % 64
        inside = block[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
        inside[...] = values
        self.blocks.append((block, start, start + values.nbytes))
        return inside

    def broken(self) -> bool:
        """Whether anything was written outside; forgets the arrays."""
        found = any((block[:a] != 0xA5).any() or (block[b:] != 0xA5).any() for block, a, b in self.blocks)
        self.blocks = []
        return found


def scene(generator, count=COUNT):
    packed = generator.normal(size=(count, 14)).astype(np.float32)
    packed[:, 2] += 5
    packed[:, 7:10] -= 2
    return packed


def valid_calls(guarded, generator):
    """Arguments by function that are right; a function without any is not tested, which `main` refuses."""
    kernels = native.module()
    zeros = lambda *shape: guarded(np.zeros(shape, np.float32))
    K = np.float32([[40, 0, WIDTH / 2], [0, 40, HEIGHT / 2], [0, 0, 1]])
    camera = {"world_to_camera": np.eye(4, dtype=np.float32), "K": K, "near": 0.01, "antialiased": False}
    packed, features = scene(generator), generator.normal(size=(COUNT, FEATURES)).astype(np.float32)
    forward = {"packed": packed, **camera, "features": features}
    image = zeros(5 + FEATURES, HEIGHT, WIDTH)
    splats, bins, _ = kernels.render_forward(**forward, image=image)
    other, other_bins, _ = kernels.render_forward(
        **(forward | {"packed": scene(generator, COUNT + 1), "features": None}), image=zeros(5, HEIGHT + 30, WIDTH)
    )
    target = generator.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    weight = np.full((HEIGHT, WIDTH), 255, np.uint8)
    slices = lambda: [zeros(COUNT, 14) for _ in range(2)]
    calls = {
        "instruction_sets": {},
        "instruction_set": {},
        "use_instruction_set": {"name": native.instruction_set()},
        "threads": {},
        "set_threads": {"count": 2},
        "peak_fma": {"iterations": 1},
        "cuda_self_check": {},
        "render_forward": forward | {"image": image},
        "contributing_pairs": {"splats": splats, "bins": bins, "width": WIDTH, "height": HEIGHT},
        "render_backward": forward
        | {"image": image, "splats": splats, "bins": bins, "image_grad": zeros(5 + FEATURES, HEIGHT, WIDTH)}
        | {"packed_grad": zeros(COUNT, 14), "pose_grad": guarded(np.zeros((4, 4)))}
        | {"features_grad": zeros(COUNT, FEATURES), "absolute_grad": zeros(COUNT)},
        "spline_forward": {"base": packed, "control": np.ones((4, COUNT, 14), np.float32), "weights": [0.25] * 4}
        | {"out": zeros(COUNT, 14)},
        "adam_step": {"parameters": slices(), "first": slices(), "second": slices(), "gradient": packed}
        | {"gradient_scale": [1.0, 0.5], "rates": np.ones((2, 14), np.float32)}
        | {"first_correction": [0.1, 0.1], "second_correction": [0.1, 0.1], "beta1": 0.9, "beta2": 0.99, "eps": 1e-8},
        "photometric_loss": {"image": zeros(5, HEIGHT, WIDTH), "target": target, "color_weight": weight}
        | {"depth_target": np.ones((HEIGHT, WIDTH), np.float32), "depth_weight": weight}
        | {"color_scale": 1.0, "ssim_scale": 0.2, "depth_scale": 0.1, "image_grad": zeros(5, HEIGHT, WIDTH)},
        "align_system": {"points": guarded(generator.uniform(0.5, 2, (6, COUNT)).astype(np.float32))}
        | {"frame": zeros(HEIGHT, WIDTH), "motion": np.eye(4, dtype=np.float32), "K": K, "gain": 1.0, "bias": 0.0}
        | {"inverse_cut": 10.0, "sums": guarded(np.zeros(kernels.align_sums)), "residuals": zeros(COUNT)},
    }
    mask, flow = np.ones((HEIGHT, WIDTH), np.uint8), zeros(HEIGHT, WIDTH, 2)
    deep, epipolar = guarded(np.full((HEIGHT, WIDTH), 0.02, np.float32)), np.eye(3, 4, dtype=np.float32)
    calls |= {
        "warp_by_depth": {"inverse": deep, "image": mask, "tissue": mask, "stand_in": mask, "epipolar": epipolar}
        | {"warped": guarded(mask), "shown": guarded(mask), "places": zeros(HEIGHT, WIDTH, 2)},
        "triangulate_flow": {"flow": flow, "back": flow, "tissue": mask, "other_tissue": mask, "places": flow}
        | {"epipolar": epipolar, "relative": 0.01, "absolute": 0.5, "farthest": 6.0, "step": 2}
        | {"out": zeros(5, HEIGHT // 2, WIDTH // 2)},
        "agree_on_depth": {"values": [deep] * 2, "deviations": [deep] * 2, "word_inverses": [deep] * 2}
        | {"word_relatives": [deep] * 2, "epipolars": np.stack([epipolar] * 2), "guess": deep, "inside": 0.7}
        | {"firmest": 0.01, "apart": 3.0, "value": zeros(HEIGHT, WIDTH), "deviation": zeros(HEIGHT, WIDTH)},
    }
    return calls, {"splats": [other, splats[:-1]], "bins": [other_bins, bins[:-1], bins[:64], bins[:16]]}


def cuda_calls():
    """The same of the GPU's part. Its arrays would be on a GPU: those of the processor are refused."""
    sizes = {"count": COUNT, "width": WIDTH, "height": HEIGHT}
    rows, planes, memory = (
        np.zeros((COUNT, 14), np.float32),
        np.zeros((5, HEIGHT, WIDTH), np.float32),
        np.zeros(9999, np.uint8),
    )
    camera = {"world_to_camera": np.eye(4, dtype=np.float32), "K": np.eye(3, dtype=np.float32)}
    image, weight = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    blocks = {"state": memory, "bins": memory, "count": COUNT, "entries": 100, "channels": None}
    frame = {"width": WIDTH, "height": HEIGHT}
    return {
        "state_bytes": sizes,
        "bins_bytes": {"entries": 100, "count": COUNT, "deterministic": False},
        "workspace_bytes": sizes | {"capacity": 100, "with_ssim": True, "deterministic": False},
        "step_records": {"views": np.zeros(3, np.int32), "smooth": np.zeros(3, np.float32)}
        | {"rates": np.zeros((3, 5), np.float32), "roots": np.zeros((3, 5), np.float32)},
        "project": {"packed": rows, **camera, **frame, "near": 0.1, "antialiased": False, "state": memory, "stream": 0},
        "rasterize": blocks | {"image": planes, "deterministic": False, "stream": 0},
        "rasterize_backward": blocks
        | {"group": -1, "image": planes, "image_grad": planes, "sums": rows, "absolute": False}
        | {"deterministic": False, "stream": 0},
        "project_backward": {"state": memory, "packed": rows, "sums": rows, "packed_grad": rows, "pose_parts": None}
        | {"absolute_grad": None, **frame, "stream": 0},
        "spline_forward": {"base": rows, "control": np.zeros((4, COUNT, 14), np.float32), "weights": [0.25] * 4}
        | {"out": rows, "stream": 0},
        "view_record": camera
        | frame
        | {"near": 0.1, "image": image, "color_weight": weight, "depth_weight": weight, "depth_target": rows}
        | {"hidden": None, "color_scale": 1.0, "ssim_scale": 1.0, "depth_scale": 1.0, "hidden_scale": 1.0}
        | {"depth_mode": 0, "knot": 0, "spline": [0.25] * 4, "frame": 0},
        "new_fit": {"base": rows, "base_m": rows, "base_v": rows, "control": None, "control_m": None, "control_v": None}
        | {"rates": rows[:2], "adam": [0.9, 0.99, 1e-8], "views": memory, "steps": memory, "workspace": memory}
        | {"capacity": 100, **frame, "with_ssim": True, "deterministic": False, "depth": [0.0] * 4, "unseen": None}
        | {"residual": None, "residual_depth": None, "log": np.zeros((3, 8)), "first": 0, "stream": 0},
        "align_system": {"points": np.ones((6, COUNT), np.float32), "frame": planes[0], "motion": np.eye(4, dtype="f4")}
        | {"K": camera["K"], "gain": 1.0, "bias": 0.0, "inverse_cut": 10.0}
        | {"parts": np.zeros((1, native.module().align_sums)), "residuals": rows[:, 0].copy(), "stream": 0},
    }


def spoiled_array(array, guarded, draw):
    """The array with another shape, kind, layout or content."""
    axis = draw.randrange(array.ndim)
    shape = list(array.shape)
    ways = [
        lambda: guarded(np.concatenate([array, array.take([0], axis)], axis)),
        lambda: guarded(array.take(range(shape[axis] - 1), axis)),
        lambda: guarded(array.take([], axis)),
        lambda: guarded(array[None]),
        lambda: guarded(array[0]),
        lambda: array.reshape(-1),
        lambda: guarded(array.swapaxes(0, -1)),
        lambda: array.swapaxes(0, -1),
        lambda: array[::-1],
        lambda: np.repeat(array, 2, axis).take(range(0, 2 * shape[axis], 2), axis),
        lambda: np.repeat(array, 2, -1)[..., ::2],
        lambda: np.broadcast_to(array.reshape(-1)[:1].reshape([1] * array.ndim), array.shape),
        lambda: array.astype(draw.choice(["f8", "f2", "i4", "i8", "u1", "?", "c8", ">f4", "O"])),
        lambda: (
            np.empty([0 if i == axis else 2**31 + 5 for i in range(array.ndim)], array.dtype)
            if array.ndim < 3
            else np.empty([0, 2**20, 2**20], array.dtype)
        ),
        lambda: np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1).reshape(shape),  # not aligned, read-only
        lambda: np.frombuffer(bytearray(b"x" + array.tobytes()), array.dtype, offset=1).reshape(shape),
    ]
    if array.dtype.kind == "f":
        number = draw.choice([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-42, 0.0, 100.0, -100.0])
        ways += [lambda: guarded(np.full_like(array, number)), lambda: guarded(np.where(array > 0, array, number))] * 3
    else:
        ways += [lambda: guarded(np.frombuffer(draw.randbytes(array.nbytes), array.dtype).reshape(shape))] * 2
    return draw.choice(ways)()


NUMBERS = [0, -1, 1, 2, 7, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63, 2**64, -(2**63), 10**400]
FLOATS = [float("nan"), float("inf"), -float("inf"), 1e308, 3e38, -1.0, 0.0, 5e-324]


def spoiled(value, guarded, draw):
    """Another value in the place of one argument."""
    if draw.random() < 0.15:
        return draw.choice([None, "x", b"", [], {}, object(), 1.5, True, np.zeros(0, np.float32), np.float64(2)])
    if isinstance(value, np.ndarray):
        return spoiled_array(value, guarded, draw)
    if isinstance(value, list):
        other = [spoiled(one, guarded, draw) if draw.random() < 0.5 else one for one in value]
        return draw.choice([other, other[:-1], other + other[:1], [*other * 10], []])
    if isinstance(value, bool):
        return draw.choice([0, 1, 2, None, "yes"])
    if isinstance(value, int):
        return draw.choice([*NUMBERS, *FLOATS])  # none is both allowed and endless, as 10^8 rounds of peak_fma would be
    if isinstance(value, str):
        return draw.choice(["", "avx1024", "portable\0", "é" * 1000, *native.instruction_sets()])
    return draw.choice([*FLOATS, *NUMBERS])


def main(seed: int, cases: int, note: Path) -> None:
    """Makes `cases` calls with 1 to 3 wrong arguments each."""
    kernels, draw, guarded, generator = native.module(), random.Random(seed), Guarded(), np.random.default_rng(seed)
    parts = {"": (kernels, *valid_calls(guarded, generator))}
    if native.compiled_with_cuda():
        parts["cuda."] = (kernels.cuda, cuda_calls(), {})
    names = []
    for prefix, (module, calls, _) in parts.items():
        functions = {name for name in dir(module) if type(getattr(module, name)).__name__ == "nb_func"}
        assert functions == set(calls), f"without a test: {functions ^ set(calls)}"
        names += [(prefix, name) for name, arguments in calls.items() if arguments]
    answers = Counter()
    for case in range(cases):
        prefix, name = names[case % len(names)]
        module, calls, others = parts[prefix]
        if prefix == "" and case % 40 == 0:
            guarded.blocks = []
            module, calls, others = parts[""] = (kernels, *valid_calls(guarded, generator))
        arguments = copy.copy(calls[name])
        changed = draw.sample(sorted(arguments), min(len(arguments), draw.choice([1, 1, 1, 2, 3])))
        for key in changed:
            foreign = key in others and draw.random() < 0.5
            arguments[key] = draw.choice(others[key]) if foreign else spoiled(arguments[key], guarded, draw)
        said = {k: f"{v.dtype}{v.shape}" if isinstance(v, np.ndarray) else repr(v)[:80] for k, v in arguments.items()}
        note.write_text(f"case {case}: {prefix}{name}, wrong: {changed}: {said}")
        try:
            getattr(module, name)(**arguments)
            answers[f"{prefix}{name} returned"] += 1
        except REFUSALS:
            answers[f"{prefix}{name} refused"] += 1
        # A wrong array of the caller's own may be written to, never what lies around it.
        assert case % 40 != 39 or not guarded.broken(), f"written outside of an array, in one of the 40 up to {case}"
    native.set_threads(2)
    native.use_instruction_set(native.instruction_sets()[0])
    base, out = np.ones((COUNT, 14), np.float32), np.empty((COUNT, 14), np.float32)
    kernels.spline_forward(base, np.ones((4, COUNT, 14), np.float32), [0.25] * 4, out)
    assert (out == 2).all(), "the kernels still work"
    print(json.dumps(answers))


if __name__ == "__main__":
    faulthandler.enable()
    faulthandler.dump_traceback_later(200, exit=True)
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
