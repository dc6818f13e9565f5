"""How a fit is doing: curves, speed, time left, and buttons to pause it or to stop and save."""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from endogs.fit.loop import Fit
from endogs.live.panels.measure_panel import AXIS

if TYPE_CHECKING:
    import viser

WINDOW = 20
"""Refreshes over which the speed is averaged."""


class FitPanel:
    """A fit's numbers."""

    def __init__(self, server: "viser.ViserServer", pause: Callable[[], None], stop: Callable[[], None]) -> None:
        """`pause` is called when the user pauses or resumes, `stop` when the fit shall end and be saved."""
        gui = server.gui
        self._marks: deque[tuple[float, int]] = deque(maxlen=WINDOW)
        self._plotted = -1
        with gui.add_folder("Fit"):
            self._bar: Any = gui.add_progress_bar(0.0)
            self._told = gui.add_markdown("starting")
            self._pause = gui.add_button("Pause")
            self._stop = gui.add_button("Stop and save", color="red")
            nothing = (np.zeros(1), np.full(1, np.nan))
            scales: Any = {"x": {"time": False}}
            look: Any = {"scales": scales, "axes": (AXIS, AXIS), "legend": {"show": False}, "height": 130}
            psnr: Any = ({"label": "step"}, {"label": "dB", "stroke": "#a5d6a7", "width": 2})
            loss: Any = ({"label": "step"}, {"label": "loss", "stroke": "#ff8a65", "width": 2})
            gui.add_markdown("Training PSNR (dB) by step")
            self._psnr = gui.add_uplot(nothing, psnr, **look)
            gui.add_markdown("Loss by step")
            self._loss = gui.add_uplot(nothing, loss, **look)
        self._pause.on_click(lambda event: pause())
        self._stop.on_click(lambda event: stop())

    def refresh(self, fit: Fit, paused: bool, stood_still: float) -> None:
        """Show where the fit is; `stood_still` are the seconds that it was paused so far."""
        total, count = fit.config.iterations, fit.optimizer.base.shape[0]
        self._marks.append((time.monotonic() - stood_still, fit.step))
        (first, before), (last, now) = self._marks[0], self._marks[-1]
        rate = (now - before) / (last - first) if last > first and now > before else math.nan
        left = f"{(total - fit.step) / rate:.0f} s left" if math.isfinite(rate) else ""
        speed = f"{rate:.1f} it/s" if math.isfinite(rate) else ""
        psnr = f"{fit.psnr:.2f} dB" if math.isfinite(fit.psnr) else ""
        parts = [f"step **{fit.step}** of {total}", psnr, f"{count:,} Gaussians", speed, left]
        self._told.content = " · ".join(part for part in parts if part) + (" · **paused**" if paused else "")
        self._bar.value = 100.0 * fit.step / max(total, 1)
        self._pause.label = "Resume" if paused else "Pause"
        if fit.log and fit.log[-1]["step"] != self._plotted:
            self._plotted = fit.log[-1]["step"]
            steps = np.array([float(record["step"]) for record in fit.log])
            self._psnr.data = (steps, np.array([float(record["psnr"]) for record in fit.log]))
            self._loss.data = (steps, np.array([float(record["loss"]) for record in fit.log]))

    def ended(self, sentence: str) -> None:
        """The fit is over: say how."""
        self._told.content = sentence
        self._bar.visible = False
        self._pause.visible = self._stop.visible = False
