"""What a browser may say over its websocket: these messages, with these numbers. All else is not heard.

viser takes any message for which it has a handler, sets any attribute of a control that a message names, keeps uploads
that nobody asked for, and opens a tunnel through another company's server for whoever wishes it. Fields are those of
viser's own messages of the same names; `endogs.live.backend` checks that at the start.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

LARGEST_MESSAGE = 65_536
"""Bytes; a camera takes 300."""
WIDEST_CANVAS = 16_384
"""Pixels of a side, twice those of an 8K screen."""

Coordinate: TypeAlias = Annotated[float, Meta(ge=-1e9, le=1e9)]
Vector: TypeAlias = tuple[Coordinate, Coordinate, Coordinate]
Direction: TypeAlias = Annotated[float, Meta(ge=-1.001, le=1.001)]
Side: TypeAlias = Annotated[int, Meta(ge=0, le=WIDEST_CANVAS)]
Name: TypeAlias = Annotated[str, Meta(max_length=200)]
Place: TypeAlias = Annotated[float, Meta(ge=-100, le=100)]


class BrowserMessage(msgspec.Struct, tag=True, tag_field="type", forbid_unknown_fields=True):
    """A message; numbers are finite and bounded, since NaN fits no bound."""


class ViewerCameraMessage(BrowserMessage):
    """Where a browser's camera is, and how large its canvas."""

    wxyz: tuple[Direction, Direction, Direction, Direction]
    position: Vector
    fov: Annotated[float, Meta(gt=0, lt=3.1416)]
    near: Annotated[float, Meta(gt=0, le=1e12)]
    far: Annotated[float, Meta(gt=0, le=1e12)]
    image_height: Side
    image_width: Side
    look_at: Vector
    up_direction: Vector


class ScenePointerMessage(BrowserMessage):
    """A click, or a rectangle drawn, on the canvas."""

    event_type: Literal["click"]
    ray_origin: Vector
    ray_direction: Vector
    screen_pos: tuple[tuple[Place, Place]]
    modifier: Name | None


class CommandTriggerMessage(BrowserMessage):
    """A key, or a line of the command palette."""

    uuid: Name


class NewValue(msgspec.Struct, forbid_unknown_fields=True):
    """The one property of a control that its user changes."""

    value: bool | Coordinate | Name


class GuiUpdateMessage(BrowserMessage):
    """A control was used."""

    uuid: Name
    updates: NewValue


MESSAGES: tuple[type[BrowserMessage], ...] = (
    ViewerCameraMessage,
    ScenePointerMessage,
    CommandTriggerMessage,
    GuiUpdateMessage,
)
_decoder = msgspec.msgpack.Decoder(
    ViewerCameraMessage | ScenePointerMessage | CommandTriggerMessage | GuiUpdateMessage  # type: ignore[arg-type]
)


def heard(raw: bytes, control: Callable[[str], Any]) -> bytes | None:
    """The message in `raw` (MessagePack) written anew, None where it is none.

    `control` gives viser's handle of a control by its name, or None; a new value must be one that it can have: true or
    false, one of its options, or a number, which is moved into its range. endogs has no controls of other kinds.
    """
    try:
        message = _decoder.decode(raw)
    except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return None
    if isinstance(message, ViewerCameraMessage) and not 0.5 < sum(q * q for q in message.wxyz) < 2:
        return None
    if isinstance(message, GuiUpdateMessage):
        value = possible_value(message.updates.value, control(message.uuid))
        if value is None:
            return None
        message.updates.value = value
    return msgspec.msgpack.encode(message)


def possible_value(value: bool | float | str, handle: Any) -> bool | float | str | None:
    """`value` as the control `handle` can have it, or None."""
    if handle is None or getattr(handle, "disabled", False):
        return None
    options = getattr(handle, "options", None)
    if options is not None:
        return value if isinstance(value, str) and value in options else None
    present = handle.value
    if isinstance(present, bool):
        return value if isinstance(value, bool) else None
    if isinstance(present, int | float) and isinstance(value, int | float) and not isinstance(value, bool):
        return min(max(value, handle.min), handle.max)
    return None
