"""Training steps on an NVIDIA GPU: the whole step is a captured graph that walks through tables of views and steps.

What each step does (its view, its learning rates, Adam's bias corrections, whether never-seen pixels are smoothed) is
known before the first one, so it is laid down in device memory once. Replaying the graph then takes step after step
without a word from the host, which looks in every few dozen steps. Anything that changes the number of Gaussians ends
the graph; a new one is captured.
"""

import math
from typing import Any

import torch
from torch import Tensor

from endogs import native
from endogs.errors import FitDiverged
from endogs.fit.eager_steps import StepLog
from endogs.fit.objective.normalizers import LossNormalizers, has_depth
from endogs.fit.objective.terms import UnseenSmoothness
from endogs.fit.optimize.spline_adam import BETAS, EPS, LEAST_WEIGHT, SplineAdam
from endogs.fit.state import FitState
from endogs.fit.view import View
from endogs.gaussians import ATTRIBUTES
from endogs.scene.deformation.knots import ACTIVE

SLICES = 1 + ACTIVE
DEPTH_MODES = {"metric": 1, "logdepth": 2, "depth": 3, "disparity": 4}
OVERFLOW, BAD_GAUSSIAN, BAD_LOSS, BAD_GRADIENT = 1, 2, 4, 8
HEADROOM = 1.25
"""Room for entries, in entries needed so far: a graph's buffers cannot grow while it runs."""
PROBED_VIEWS = 6


class CudaSteps:
    """Takes the steps of one fit on the GPU where its parameters are."""

    def __init__(self, optimizer: SplineAdam, state: FitState, as_graph: bool = True) -> None:
        """`optimizer` is the state's, before its next step. `as_graph` off launches kernel by kernel."""
        config, window, first = state.config, state.window, state.step
        # Steps before the first are not taken again.
        order = [0] * first + [state.schedule[step] for step in range(first, config.iterations)]
        smooth = [0.0] * len(order)
        for term in state.objective.terms:
            if term.name == UnseenSmoothness.name:
                smooth = [term.pace(step) for step in range(len(order))]
        self._kernels = native.module().cuda
        self._optimizer, self._config, self._maps, self._anchor = optimizer, config, state.maps, window.anchor
        self._deterministic, self._as_graph = state.deterministic, as_graph
        device = optimizer.base.device
        self._device = device
        self._stream = torch.cuda.Stream(device)
        used = sorted(set(order[first:]))
        window.prepare(used)
        self._views: list[View] = [window[index] for index in used]
        self._size = (self._views[0].camera.height, self._views[0].camera.width)
        self._kind = window.depth_kind
        row = {index: position for position, index in enumerate(used)}
        self._rows = [row.get(index, 0) for index in order]
        self._kept: list[Tensor] = []  # what the tables point to
        self._view_table = self._upload(b"".join(self._view_record(view) for view in self._views))
        self._unseen = None
        if state.unseen is not None and any(smooth):
            self._unseen = state.unseen.to(device, torch.uint8).contiguous()
        self._extra = [
            factor > 0 or (self._views[row].depth is not None and self._kind != "metric")
            for factor, row in zip(smooth, self._rows, strict=True)
        ]
        self._smooth = torch.tensor([factor * config.unseen_weight for factor in smooth], dtype=torch.float32)
        self._step_table = self._upload(self._step_records(first))
        self._log = torch.zeros((len(order), self._kernels.log_terms), dtype=torch.float64, device=device)
        self._rates = torch.stack([optimizer.base_rates, optimizer.control_rates]).to(device)
        self._capacity = 0
        self._engine: Any = None
        self._workspace: Tensor | None = None
        self._held: tuple[Any, ...] = ()

    def release(self) -> None:
        """Call before Gaussians are added or dropped: frees memory; the next steps start from what there is then."""
        self._engine = self._workspace = None
        self._held = ()

    def run(self, first: int, count: int) -> StepLog:
        """Take `count` steps from step `first`. Raises FitDiverged; what is not finite is not taken over."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                self._take(first, first + count)
                log = self._log[first : first + count].cpu()
        finally:
            current.wait_stream(self._stream)
        return self._report(first, log)

    def _take(self, first: int, end: int) -> None:
        done = first
        while done < end:
            if self._engine is None:
                try:
                    self._capacity = max(self._capacity, self._probe())
                except ValueError as error:
                    raise FitDiverged(f"the fit diverged at step {done}: {error}") from error
                self._build(done)
            todo = [int(extra) for extra in self._extra[done:end]]
            self._engine.run(todo, self._as_graph, self._stream.cuda_stream)
            now, failure, entries, channels = self._engine.progress(self._stream.cuda_stream)
            self._count(done, now)
            done = now
            if failure:
                self.release()
            if failure == OVERFLOW:
                self._capacity = _rounded(entries * HEADROOM)
            elif failure:
                # A gradient that is not finite only shows in the step that takes it; its Gaussians sat that step out.
                step = now - 1 if failure == BAD_GRADIENT else now
                raise FitDiverged(f"the fit diverged at step {step}: {self._reason(failure, channels, now)}")

    @property
    def capacity(self) -> int:
        """Entries, (Gaussian, tile) pairs, that there is room for."""
        return self._capacity

    def _build(self, first: int) -> None:
        o, height, width = self._optimizer, *self._size
        count = o.base.shape[0]
        with_ssim = self._config.ssim_weight > 0
        shape = (count, self._capacity, width, height, with_ssim, self._deterministic)
        self._workspace = torch.empty(self._kernels.workspace_bytes(*shape), dtype=torch.uint8, device=self._device)
        for moments in (o.base_moments, o.control_moments):
            if moments is not None:
                moments.m, moments.v = moments.m.contiguous(), moments.v.contiguous()
        o.base = o.base.contiguous()
        control = o.deformation.tensors().get("control")
        assert control is None or control.is_contiguous()
        moving = None if control is None else o.control_moments
        # The engine keeps addresses: what it works on must live as long as it does.
        own = (o.base, o.base_moments.m, o.base_moments.v)
        self._held = own if moving is None else (*own, control, moving.m, moving.v)
        anchor = self._anchor
        weights = [self._config.relative_depth_weight, 0.0 if anchor is None else self._config.depth_anchor]
        self._engine = self._kernels.new_fit(
            o.base,
            o.base_moments.m,
            o.base_moments.v,
            control,
            None if moving is None else moving.m,
            None if moving is None else moving.v,
            self._rates,
            [*BETAS, EPS],
            self._view_table,
            self._step_table,
            self._workspace,
            self._capacity,
            width,
            height,
            with_ssim,
            self._deterministic,
            [*weights, *((0.0, 0.0) if anchor is None else (anchor.log_mean, anchor.log_std))],
            self._unseen,
            self._maps.residual,
            self._maps.depth,
            self._log,
            first,
            self._stream.cuda_stream,
        )

    def _probe(self) -> int:
        """Room for entries: the most that some of the views need now, and a margin."""
        height, width = self._size
        o = self._optimizer
        most = 0
        size = self._kernels.state_bytes(o.base.shape[0], width, height)
        state = torch.empty(size, dtype=torch.uint8, device=self._device)
        step = max(1, len(self._views) // PROBED_VIEWS)
        for view in self._views[::step]:
            camera = view.camera.to("cpu")
            packed = o.packed_at(view.time)
            most = max(
                most,
                self._kernels.project(
                    packed,
                    camera.world_to_camera.contiguous(),
                    camera.K.contiguous(),
                    width,
                    height,
                    camera.near,
                    False,
                    state,
                    self._stream.cuda_stream,
                ),
            )
        return _rounded(most * HEADROOM)

    def _upload(self, data: bytes) -> Tensor:
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).to(self._device)

    def _view_record(self, view: View) -> bytes:
        config, camera = self._config, view.camera.to("cpu")
        scales = LossNormalizers.of(view, config, self._kind)
        slices = self._optimizer.deformation.slices(view.time)
        knot = slices[0][0] if slices else 0
        weights = [weight for _, _, weight in slices] or [0.0] * ACTIVE
        opaque = view.opaque if config.hidden_weight > 0 else None
        depth = None if view.depth is None else view.depth.float()
        given = (view.image, view.weight, view.depth_weight, depth, opaque)
        tensors = tuple(None if t is None else t.to(self._device).contiguous() for t in given)
        self._kept += [t for t in tensors if t is not None]
        return bytes(
            self._kernels.view_record(
                camera.world_to_camera.contiguous(),
                camera.K.contiguous(),
                camera.width,
                camera.height,
                camera.near,
                *tensors,
                scales.color,
                scales.ssim,
                scales.depth,
                scales.opaque,
                DEPTH_MODES[self._kind] if has_depth(view) else 0,
                knot,
                weights,
                -1 if view.frame is None else view.frame,
            )
        )

    def _step_records(self, first: int) -> bytes:
        """Rates and bias corrections of every step from `first` on, as the optimizer would come to them."""
        o, steps = self._optimizer, len(self._rows)
        rates, roots = torch.zeros(steps, SLICES), torch.zeros(steps, SLICES)
        base_steps, knot_steps = o.base_steps, list(o.knot_steps)
        for step in range(first, steps):
            decays = o.decays(step / self._config.iterations)
            base_steps += 1
            rates[step, 0], roots[step, 0] = corrected(decays[0], base_steps)
            for k, knot in self._touched(step):
                knot_steps[knot] += 1
                rates[step, k], roots[step, k] = corrected(decays[1], knot_steps[knot])
        return bytes(
            self._kernels.step_records(torch.tensor(self._rows, dtype=torch.int32), self._smooth, rates, roots)
        )

    def _touched(self, step: int) -> list[tuple[int, int]]:
        """(slice, knot) of the control points that a step moves."""
        slices = self._optimizer.deformation.slices(self._views[self._rows[step]].time)
        return [(k + 1, knot) for k, (knot, _, weight) in enumerate(slices) if weight >= LEAST_WEIGHT]

    def _count(self, first: int, end: int) -> None:
        for step in range(first, end):
            self._optimizer.base_steps += 1
            for _, knot in self._touched(step):
                self._optimizer.knot_steps[knot] += 1

    def _reason(self, failure: int, channels: int, step: int) -> str:
        if failure & BAD_GAUSSIAN:
            return "a Gaussian is not finite"
        if failure & BAD_LOSS:
            _, terms = self._terms(step, self._log[step].tolist())
            bad = ", ".join(name for name, term in terms.items() if not math.isfinite(term)) or "smoothness"
            return f"the loss is not finite ({bad})"
        hit = [channel for channel in range(14) if channels >> channel & 1]
        names = [
            name
            for name, columns in ATTRIBUTES.items()
            if any(c == columns if isinstance(columns, int) else columns.start <= c < columns.stop for c in hit)
        ]
        return f"the gradient is not finite ({', '.join(names)})"

    def _report(self, first: int, log: Tensor) -> StepLog:
        rows = log.tolist()
        errors = []
        for step, row in enumerate(rows, first):
            view = self._views[self._rows[step]]
            if view.frame is not None and view.weight_sum > 0:
                errors.append(row[1] / (3 * LossNormalizers.of(view, self._config, self._kind).pixels))
        loss, terms = self._terms(first + len(rows) - 1, rows[-1])
        return StepLog(loss, terms, errors)

    def _terms(self, step: int, row: list[float]) -> tuple[float, dict[str, float]]:
        view = self._views[self._rows[step]]
        absolute, _, dissimilarity, depth, through, _, loss, _ = row
        scales = LossNormalizers.of(view, self._config, self._kind)
        terms = {"l1": absolute / (3 * scales.pixels)}
        if self._config.ssim_weight > 0:
            terms["dssim"] = dissimilarity / (3 * scales.pixels)
        if view.depth is not None:
            terms["depth"] = depth
        if view.opaque is not None and self._config.hidden_weight > 0:
            terms["hidden"] = through / view.opaque.numel()
        return loss, terms


def corrected(decay: float, step: int) -> tuple[float, float]:
    """Rate factor and root of Adam's step number `step`: decay / (1 - beta1^t) and 1 / sqrt(1 - beta2^t)."""
    return decay / (1 - BETAS[0] ** step), 1 / math.sqrt(1 - BETAS[1] ** step)


def _rounded(entries: float) -> int:
    return -(-int(entries + 4096) // 4096) * 4096
