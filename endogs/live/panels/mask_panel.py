"""The controls beside a frame whose masks are corrected."""

from typing import TYPE_CHECKING, Any

from endogs.live.markdown_text import as_markdown
from endogs.live.mask_session import MaskSession, Tool

if TYPE_CHECKING:
    import viser

BACK, ON = "◀ frame", "frame ▶"
ADD, REMOVE, ENLARGE = "adds an instrument", "removes what is none", "enlarges the picture there"
TOOLS = {ADD: True, REMOVE: False, ENLARGE: None}
OUTLINE = "finds its outline"
BRUSHES = {OUTLINE: 0.0, "paints a small disc": 0.006, "paints a disc": 0.015, "paints a large disc": 0.04}


class MaskPanel:
    """Frames, tools, undo and save, and what has been done."""

    def __init__(self, server: "viser.ViserServer", session: MaskSession) -> None:
        self._session = session
        gui = server.gui
        last = max(session.count - 1, 1)
        with gui.add_folder("Frame"):
            self._slider: Any = gui.add_slider(
                "Number", min=0, max=last, step=1, initial_value=0, disabled=session.count < 2
            )
            self._buttons = gui.add_button_group("", (BACK, ON), disabled=session.count < 2)
            self._whole = gui.add_button(
                "Whole frame", color="gray", hint="After the picture was enlarged.", visible=False
            )
            self._tint: Any = gui.add_checkbox("Masks tinted", True, hint="Off shows the bare frame.")
        with gui.add_folder("Correct"):
            self._tool: Any = gui.add_dropdown("A click", tuple(TOOLS), initial_value=ADD)
            self._brush = gui.add_dropdown(
                "and",
                tuple(BRUSHES),
                initial_value=OUTLINE,
                hint="Either way it is carried through the clip, as far as it can be followed.",
            )
            self._undo = gui.add_button("Undo the last click", color="gray")
            self._clear = gui.add_button("Take back the clicks on this frame", color="gray")
            self._save = gui.add_button("Save", color="green")
        self._told = gui.add_markdown("")
        gui.add_markdown(
            "Look through the frames for the worst one, click into the middle of what is wrong there, and look on. "
            "Keys: J and L step, 1 adds, 2 removes, 3 enlarges, U takes back, M shows the bare frame, ctrl+K lists all."
        )
        self._slider.on_update(lambda event: self._by_hand(event, lambda: session.go(int(event.target.value))))
        self._buttons.on_click(lambda event: self._step(-1 if event.target.value == BACK else 1))
        self._whole.on_click(lambda event: session.enlarge(1.0))
        self._tint.on_update(lambda event: self._by_hand(event, lambda: self._show(bool(event.target.value))))
        self._tool.on_update(lambda event: self._choose())
        self._brush.on_update(lambda event: self._choose())
        self._undo.on_click(lambda event: session.undo())
        self._clear.on_click(lambda event: session.clear())
        self._save.on_click(lambda event: session.save())
        for label, key, action in (
            ("Next frame", "L", lambda: self._step(1)),
            ("Previous frame", "J", lambda: self._step(-1)),
            ("A click adds an instrument", "1", lambda: self._take(ADD)),
            ("A click removes what is none", "2", lambda: self._take(REMOVE)),
            ("A click enlarges the picture", "3", lambda: self._take(ENLARGE)),
            ("Undo the last click", "U", session.undo),
            ("Masks tinted or not", "M", lambda: self._show(not session.tinted)),
            ("Whole frame", "0", lambda: session.enlarge(1.0)),
        ):
            command: Any = gui.add_command(label, hotkey=key)  # type: ignore[arg-type]
            command.on_trigger(lambda event, action=action: action())
        self.refresh()

    def refresh(self) -> None:
        """Bring what is said up to date."""
        session = self._session
        if self._slider.value != session.frame:
            self._slider.value = session.frame
        self._whole.visible = session.zoom > 1
        clicks = session.corrections.clicks
        frames = sorted({click.frame for click in clicks})
        lines = [f"frame **{session.frame}** of {session.count - 1}"]
        if session.reached is not None:
            lines.append(f"following what you clicked: {session.reached[0]} of {session.reached[1]} frames")
        elif session.told:
            lines.append(as_markdown(session.told))
        if clicks:
            named = ", ".join(str(frame) for frame in frames[:12]) + (" …" if len(frames) > 12 else "")
            saved = "not saved yet" if session.unsaved else "saved"
            lines.append(f"{len(clicks)} click{'s' * (len(clicks) != 1)}, on frames {named}; **{saved}**")
        text = "\n\n".join(lines)
        if self._told.content != text:
            self._told.content = text

    def _step(self, frames: int) -> None:
        self._session.go(self._session.frame + frames)

    def _show(self, tinted: bool) -> None:
        self._tint.value = self._session.tinted = tinted
        self._session.changed()

    def _take(self, tool: str) -> None:
        self._tool.value = tool
        self._choose()

    def _choose(self) -> None:
        self._session.tool = Tool(TOOLS[self._tool.value], BRUSHES[self._brush.value])

    @staticmethod
    def _by_hand(event: Any, action: Any) -> None:
        if event.client is not None:  # our own updates of a control come back as events without a client
            action()
