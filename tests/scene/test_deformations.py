"""Deformations beside the spline: formulas, gradients, growing and shrinking, files, and as splines."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from samples.deformations import COUNT, KNOTS, SPAN, base_of, deformation_of

from endogs.errors import InputError
from endogs.gaussians import COLORS, OPACITY
from endogs.scene import DEFORMATIONS, Scene, SplineDeformation
from endogs.scene.deformation.as_spline import scene_as_spline
from endogs.scene.deformation.bases import BasesDeformation, basis_sum, kernel_values
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.lowrank import LowrankDeformation
from endogs.scene.scene_file import load_scene, save_scene

TIMES = np.linspace(0, 2, 9)
FORMS = ["bases-quartic", "bases-gaussian", "bases-constant", "bases-motion", "hexplane", "hexplane-motion", "mlp",
         "mlp-motion", "lowrank", "lowrank-motion"]  # fmt: skip


def scene_of(deformation, base=None):
    eye = np.broadcast_to(np.eye(4), (len(TIMES), 4, 4)).copy()
    K = np.broadcast_to(np.array([[50.0, 0, 20], [0, 50, 16], [0, 0, 1]]), (len(TIMES), 3, 3)).copy()
    return Scene(base_of() if base is None else base, deformation, TIMES, K, eye, 40, 32)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(form):
    """Every tensor and the canonical Gaussians, in double precision."""
    made, base = deformation_of(form, torch.float64), base_of(torch.float64)
    names = [name for name in made.tensors() if name not in made.fixed]

    def packed(base, *values):
        tensors = made.tensors() | dict(zip(names, values, strict=True))
        return made.from_parts(tensors, made.settings()).packed_at(base, 0.83)

    inputs = [base, *(made.tensors()[name] for name in names)]
    assert torch.autograd.gradcheck(packed, [x.clone().requires_grad_() for x in inputs], eps=1e-6, atol=1e-6)
    assert packed(*inputs).dtype == torch.float64


@pytest.mark.parametrize("form", FORMS)
def test_motion_leaves_opacity_and_color_and_all_does_not(form):
    made, base = deformation_of(form), base_of()
    before, after = made.packed_at(base, 0.1), made.packed_at(base, 1.7)
    assert not torch.allclose(before[:, :10], after[:, :10], atol=1e-3)
    for columns in (OPACITY, COLORS):
        assert torch.equal(before[:, columns], base[:, columns]) == form.endswith("motion")
    assert before.data_ptr() != base.data_ptr()


def test_both_kernels_are_as_written():
    """Deform3DGS's code and its paper, term by term."""
    w, mu, s, t = 0.7, 0.3, 0.1, 0.42
    weights, centers, widths = (torch.full((1, 1, 1), x, dtype=torch.float64) for x in (w, mu, s))
    quartic = w * np.exp(-(((t - mu) ** 2 / (s**2 + 1e-4)) ** 2))
    assert float(basis_sum(weights, centers, widths, t, "quartic")) == pytest.approx(quartic, rel=1e-12)
    gaussian = w * np.exp(-((t - mu) ** 2) / (2 * s**2))
    assert float(basis_sum(weights, centers, widths, t, "gaussian")) == pytest.approx(gaussian, rel=1e-5)


def test_many_gaussians_are_summed_as_few(monkeypatch):
    """The sum over bases works in pieces."""
    generator = torch.Generator().manual_seed(1)
    weights, centers, widths = (torch.rand(50, 3, 4, generator=generator) for _ in range(3))
    whole = (weights * kernel_values(centers, widths, 0.4, "quartic")).sum(-1)
    monkeypatch.setattr("endogs.scene.deformation.bases.ROWS", 7)
    leaf = weights.clone().requires_grad_()
    pieces = basis_sum(leaf, centers, widths, 0.4, "quartic")
    pieces.sum().backward()
    assert torch.allclose(pieces, whole)
    assert torch.allclose(leaf.grad, kernel_values(centers, widths, 0.4, "quartic"))


def test_the_last_frame_lies_at_the_end_of_the_planes_time_axis():
    """Defect not to repeat: time in [0, 1) on an axis of [-1, 1] leaves half of the grid unused."""
    made = deformation_of("hexplane")
    tensors = made.tensors()
    base = base_of()
    for time, row in ((0.0, 0), (2.0, -1), (1.0, 1)):
        changed = dict(tensors)
        for pair in ("xt", "yt", "zt"):
            plane = tensors[f"planes.0.{pair}"].clone()
            plane[:, row] += 1
            changed[f"planes.0.{pair}"] = plane
        other = made.from_parts(changed, made.settings())
        assert not torch.allclose(other.packed_at(base, time), made.packed_at(base, time), atol=1e-3)
        for elsewhere in {0.0, 1.0, 2.0} - {time}:
            assert torch.allclose(other.packed_at(base, elsewhere), made.packed_at(base, elsewhere), atol=1e-6)


def test_rough_planes_cost_and_even_ones_do_not():
    made = deformation_of("hexplane")
    even = {name: torch.ones_like(t) if "planes" in name else t for name, t in made.tensors().items()}
    assert [float(x) for x in made.from_parts(even, made.settings()).roughness()] == [0, 0]
    ramp = torch.arange(3.0)[None, :, None].expand(2, 3, 4)
    sloped = made.from_parts(even | {"planes.0.xt": ramp.contiguous()}, made.settings())
    assert [float(x) for x in sloped.roughness()] == [0, 0], "steady change in time is smooth"
    assert all(float(x) > 0 for x in made.roughness())


@pytest.mark.parametrize("kind", ["bases", "lowrank"])
def test_new_gaussians_follow_their_tracks(kind):
    """A motion of two shared trajectories is found again, by Gaussians of the start and by those that come later."""
    generator = torch.Generator().manual_seed(0)
    wave = torch.stack([torch.sin(torch.arange(7.0)), torch.linspace(-1, 1, 7)], 1)
    control = torch.zeros(7, 8, 14)
    for columns in (slice(0, 3), COLORS):
        control[..., columns] = torch.einsum("kr,rnc->knc", wave, torch.randn(2, 8, 3, generator=generator))
    motion = SplineDeformation(control, KNOTS)
    first, later = motion.select(torch.arange(5)), motion.select(torch.arange(5, 8))
    units = torch.full((14,), 0.1)
    if kind == "bases":
        made = BasesDeformation.at_rest(0, 12, 0.1, units, SPAN, "quartic", constant=False).extend(5, first)
    else:
        made = LowrankDeformation.of(first, 2, units, KNOTS).extend(5, first)
    made = made.extend(3, later)
    base = torch.zeros(8, 14)
    for time in (0.1, 0.9, 1.6):
        truth = motion.packed_at(base, time)
        assert (made.packed_at(base, time) - truth).norm() < (0.08 if kind == "bases" else 0.01) * truth.norm()
    assert torch.equal(made.extend(2, None).packed_at(torch.zeros(10, 14), 0.4)[8:], torch.zeros(2, 14))


@pytest.mark.parametrize("form", FORMS)
def test_kept_by_mask_or_rows_is_the_same_gaussians(form):
    made, base = deformation_of(form), base_of()
    mask = torch.tensor([True, False, True, True, False])
    for keep in (mask, torch.tensor([3, 0])):
        assert torch.allclose(made.select(keep).packed_at(base[keep], 1.2), made.packed_at(base, 1.2)[keep], atol=1e-6)


@pytest.mark.parametrize("form", ["hexplane", "mlp"])
def test_new_gaussians_of_a_field_are_where_they_were_put_at_their_time(form):
    made = deformation_of(form)
    smooth = {name: t * (0.1 if name.split(".")[-2:] in (["out", "weight"], ["outputs", "weight"]) else 1)
              for name, t in made.tensors().items()}  # fmt: skip
    made, wanted = made.from_parts(smooth, made.settings()), base_of()
    times = torch.tensor([0.3, 1.4, 0.3, 2.0, 1.4], dtype=torch.float64)
    base = made.canonical(wanted, times)
    for row, time in enumerate(times.tolist()):
        moved = (made.packed_at(wanted, time) - wanted)[row].norm()
        assert (made.packed_at(base, time) - wanted)[row].norm() < 0.3 * moved


@pytest.mark.parametrize("form", FORMS)
def test_no_opacity_exceeds_the_bound(form):
    made, base = deformation_of(form), base_of()
    most = torch.stack([made.packed_at(base, t)[:, OPACITY] for t in np.linspace(0, 2, 16)]).amax(0)
    assert (made.highest_opacity(base) >= most - 1e-5).all()


@pytest.mark.parametrize("kernel", ["quartic", "gaussian"])
@pytest.mark.parametrize("width", [0.05, 0.1])
def test_the_bound_of_overlapping_bases_is_close_to_what_they_reach(kernel, width):
    """Density control drops what never shows; a bound far above it drops nothing."""
    generator = torch.Generator().manual_seed(4)
    made = BasesDeformation.at_rest(50, 17, width, torch.ones(14), SPAN, kernel, constant=True)
    tensors = {name: x.clone() for name, x in made.tensors().items()}
    tensors["weights"] = torch.randn(50, 14, 17, generator=generator)
    tensors["centers"] += 0.05 * torch.randn(50, 14, 17, generator=generator)
    tensors["constant"] = torch.randn(50, 14, generator=generator)
    made, base = made.from_parts(tensors, made.settings()), torch.randn(50, 14, generator=generator)
    reached = torch.stack([made.packed_at(base, t)[:, OPACITY] for t in np.linspace(0, 2, 1001)]).amax(0)
    error = made.highest_opacity(base) - reached
    assert float(error.abs().max()) < 0.1


@pytest.mark.parametrize("form", FORMS)
def test_a_scene_comes_back_from_its_file(form, tmp_path):
    scene = scene_of(deformation_of(form))
    save_scene(scene, tmp_path / "scene.safetensors")
    loaded = load_scene(tmp_path)
    assert loaded.deformation.kind == form.split("-")[0]
    for time in (0.0, 0.77, 2.0):
        assert torch.equal(loaded.packed_at(time), scene.packed_at(time))
    save_scene(loaded, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "scene.safetensors").read_bytes()


def spoil(path, change):
    data = path.read_bytes()
    about = json.loads(json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]["endogs"])
    tensors = load_file(path)
    change(tensors, about["deformation"])
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"endogs": json.dumps(about)})


BROKEN = {
    "a tensor is missing": lambda tensors, about: tensors.pop(sorted(tensors)[-1]),
    "a tensor is unknown": lambda tensors, about: tensors.update({"deformation.extra": torch.ones(2)}),
    "units are cut": lambda tensors, about: tensors.update({"deformation.units": torch.ones(9)}),
    "a setting is missing": lambda tensors, about: about["settings"].popitem(),
    "another kind": lambda tensors, about: about.update(kind="none" if about["kind"] == "spline" else "spline"),
    "no such kind": lambda tensors, about: about.update(kind="wobble"),
    "a setting of another type": lambda tensors, about: about["settings"].update(start="soon", breakpoints="soon"),
}


@pytest.mark.parametrize("form", ["bases-constant", "hexplane", "mlp", "lowrank"])
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_told_in_one_sentence(form, what, tmp_path):
    path = tmp_path / "scene.safetensors"
    save_scene(scene_of(deformation_of(form)), path)
    spoil(path, BROKEN[what])
    with pytest.raises(InputError, match=r"scene.safetensors: not a valid scene"):
        load_scene(path)


@pytest.mark.parametrize("form", ["bases-quartic", "lowrank"])
def test_a_file_with_fewer_gaussians_than_motions_is_refused(form, tmp_path):
    path = tmp_path / "scene.safetensors"
    save_scene(scene_of(deformation_of(form)), path)
    spoil(path, lambda tensors, about: tensors.update(base=tensors["base"][:3]))
    with pytest.raises(InputError, match="does not fit its 3 Gaussians"):
        load_scene(path)


@pytest.mark.parametrize("form", ["bases-quartic", "hexplane", "mlp", "lowrank"])
def test_as_a_spline_it_is_the_same_at_the_frames(form):
    """What the shareable player shows."""
    scene = scene_of(deformation_of(form))
    spline = scene_as_spline(scene)
    assert isinstance(spline.deformation, SplineDeformation)
    for time in TIMES:
        assert torch.allclose(spline.packed_at(time), scene.packed_at(time), atol=2e-3)
    assert scene_as_spline(spline) is spline


@pytest.mark.parametrize(
    "times", [np.r_[np.arange(11) / 10, 0.51, 0.52, 0.53, 0.54].tolist(), [0.0, 0.0, 0.1, 0.1], [0.7], [0.3, 0.3]]
)
def test_as_a_spline_it_follows_uneven_and_equal_times(times):
    """A cluster of frames ten times as dense as the others, frames at one time, and a single one."""
    times = np.sort(times)
    scene = replace(scene_of(deformation_of("mlp")), times=times, K=np.tile(np.eye(3), (len(times), 1, 1)),
                    world_to_camera=np.tile(np.eye(4), (len(times), 1, 1)))  # fmt: skip
    # Sharp enough in time that knots a usual frame interval apart miss what the cluster shows.
    bases = BasesDeformation.at_rest(COUNT, 4, 0.01, torch.ones(14), ClipTime(0.0, 1.0), "gaussian", constant=False)
    tensors = bases.tensors()
    tensors["centers"] = torch.full_like(tensors["centers"], 0.525)
    tensors["weights"] = torch.randn(tensors["weights"].shape, generator=torch.Generator().manual_seed(3))
    sharp = replace(scene, deformation=bases.from_parts(tensors, bases.settings()))
    for one in (scene, sharp):
        spline = scene_as_spline(one)
        for time in times:
            assert torch.allclose(spline.packed_at(time), one.packed_at(time), atol=1e-3)


def test_every_kind_is_chosen_by_its_name():
    assert list(DEFORMATIONS) == ["spline", "none", "bases", "hexplane", "mlp", "lowrank"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU can be used")
@pytest.mark.parametrize("form", FORMS)
def test_a_gpu_moves_them_alike(form):
    there = deformation_of(form, device="cuda").packed_at(base_of(device="cuda"), 0.7)
    assert torch.allclose(there.cpu(), deformation_of(form).packed_at(base_of(), 0.7), atol=1e-4)
