"""The layers of the instrument network: a small encoder and decoder with short cuts, and a head for the whole frame.

A residual U-Net (Ronneberger et al., MICCAI 2015; He et al., CVPR 2016) whose first and last layers fold two by two
pixels into channels (Shi et al., CVPR 2016), so that nothing expensive is done at full size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

STATES = ("tissue", "outside", "black", "smoke", "smeared")
"""What a whole frame shows, in the order of the frame head: tissue seen clearly; out of the body; too dark to see;
behind smoke; through a smeared, wet or wiped lens."""
STRIDE = 16
"""Sides of the input are multiples of this many pixels."""
WIDTHS = (16, 32, 64, 96)
"""Channels at a half, quarter, eighth and sixteenth of the input's size."""


class Convolution(nn.Sequential):
    """A 3x3 convolution, batch normalisation and a rectifier; `stride` 2 halves the size."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )

    def folded(self) -> None:
        """Puts the normalisation into the convolution, which makes inference faster."""
        convolution, normalisation = self[0], self[1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(normalisation, nn.BatchNorm2d)
        self[0], self[1] = fuse_conv_bn_eval(convolution, normalisation), nn.Identity()


class Residual(nn.Module):
    """Two 3x3 convolutions whose result is added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.scale: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        return functional.relu(x + self.scale(self.second(self.first(x))))

    def folded(self) -> None:
        """As `Convolution.folded`, for the second one."""
        assert isinstance(self.scale, nn.BatchNorm2d)
        self.second, self.scale = fuse_conv_bn_eval(self.second, self.scale), nn.Identity()


class Context(nn.Module):
    """Adds what the whole frame and its quarters look like to every place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.whole = nn.Linear(channels, channels)
        self.parts = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same."""
        parts = self.parts(functional.adaptive_avg_pool2d(x, 4))
        parts = functional.interpolate(parts, x.shape[-2:], mode="bilinear", align_corners=False)
        return functional.relu(x + parts + self.whole(x.mean((2, 3)))[..., None, None])


class Up(nn.Module):
    """Doubles the size, adds the encoder's features of that size, and convolves."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(before, after, 1)
        self.join = Convolution(after, after)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, before, h, w) and (N, after, 2h, 2w) to (N, after, 2h, 2w)."""
        x = functional.interpolate(self.narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.join(x + skip)


class InstrumentLayers(nn.Module):
    """Log odds of "instrument" for each pixel, and logits of `STATES` for the frame."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.to_halves = Convolution(12, half)
        self.to_quarters = nn.Sequential(Convolution(half, quarter, 2), Residual(quarter))
        self.to_eighths = nn.Sequential(Convolution(quarter, eighth, 2), Residual(eighth), Residual(eighth))
        self.to_sixteenths = nn.Sequential(
            Convolution(eighth, sixteenth, 2), Residual(sixteenth), Context(sixteenth), Residual(sixteenth)
        )
        self.up_eighths = Up(sixteenth, eighth)
        self.up_quarters = Up(eighth, quarter)
        self.up_halves = Up(quarter, half)
        self.pixels = nn.Conv2d(half, 4, 3, 1, 1)
        self.frame = nn.Linear(2 * sixteenth, len(STATES))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """RGB (N, 3, h, w) in about [-1, 1], h and w multiples of `STRIDE`, to log odds (N, h, w) and logits (N, 5)."""
        half = self.to_halves(functional.pixel_unshuffle(x, 2))
        quarter = self.to_quarters(half)
        eighth = self.to_eighths(quarter)
        deep = self.to_sixteenths(eighth)
        states = self.frame(torch.cat([deep.mean((2, 3)), deep.amax((2, 3))], 1))
        x = self.up_halves(self.up_quarters(self.up_eighths(deep, eighth), quarter), half)
        return functional.pixel_shuffle(self.pixels(x), 2)[:, 0], states

    def folded(self) -> "InstrumentLayers":
        """Itself, with every normalisation put into its convolution; it cannot be trained any more."""
        for part in self.modules():
            if isinstance(part, (Convolution, Residual)):
                part.folded()
        return self
