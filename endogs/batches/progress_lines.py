"""How a batch goes on, for people: a line for each running clip on a terminal, and plain lines for logs."""

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from endogs.batches.capacity import Capacity
from endogs.batches.record import Record
from endogs.plain_text import plain
from endogs.progress import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_SECONDS = 60.0
"""Between plain lines that say how much is done."""
MOST_LINES = 40
"""Running clips that a terminal shows."""
LONGEST_NAME = 40
REFRESHES = 4.0


class ProgressLines:
    """Tells people; it is a queue's `Audience`, between entering and leaving it."""

    def __init__(self, total: int, done: Iterable[Record] = (), stream: TextIO | None = None) -> None:
        """`total` clips, those among them that are `done` already; `stream` is standard error unless given."""
        self.stream = stream if stream is not None else sys.stderr
        self.terminal = self.stream.isatty()
        self.total = total
        self.finished = self.failed = 0
        for record in done:
            self._count(record)
        self._before = self.finished + self.failed
        self.running: dict[str, tuple[float, dict[str, Any]]] = {}
        """By name, when a clip began, and the last that was heard of it."""
        self._begin = self._said = time.monotonic()
        self._live: Any = None
        self._stopping = False

    def __enter__(self) -> "ProgressLines":
        if self.terminal:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self.stream)
            self._live = Live(
                get_renderable=self._renderable, console=console, refresh_per_second=REFRESHES, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._live.console.print(plain(line), markup=False, highlight=False, soft_wrap=True)
        else:
            print(plain(line), file=self.stream, flush=True)

    def workers(self, found: dict[str, Capacity]) -> None:
        """Which workers there are."""
        cores, memory = sum(one.cores for one in found.values()), sum(one.memory for one in found.values())
        gpus = sum(one.gpus for one in found.values())
        hosts = len({one.host for one in found.values()})
        on_gpus = f", {gpus} GPU{'s' * (gpus != 1)}" if gpus else ""
        what = f"{len(found)} worker{'s' * (len(found) != 1)} on {hosts} machine{'s' * (hosts != 1)}"
        has = f"{cores} core{'s' * (cores != 1)}, {memory / 1e9:.0f} GB{on_gpus}"
        self.say(f"{what}: {has}" if found else "no worker; waiting for one")

    def unfit(self, where: str, why: str) -> None:
        """A worker gets no clips."""
        self.say(f"{where} gets no clips: {why}")

    def stage(self, name: str, words: dict[str, Any]) -> None:
        """How far a clip is."""
        if words.get("stage") == "starts":
            before = self.running.get(name)
            if before is not None:
                self.say(f"{name}: its worker is gone; it goes on at {words.get('at')}")
            elif not self.terminal:
                self.say(f"{name}: begins at {words.get('at')}")
            self.running[name] = time.monotonic(), words
        elif name in self.running:
            self.running[name] = self.running[name][0], words

    def over(self, record: Record, earlier: bool) -> None:
        """A clip is done with; nothing is said of one that had not begun when the batch was stopped."""
        self.running.pop(record.name, None)
        if record.state == "waiting":
            return
        self._count(record)
        if record.state == "failed":
            self.say(f"{record.name}: FAILED: {record.error}")
        elif record.state == "interrupted":
            self.say(f"{record.name}: interrupted")
        elif earlier:
            self.say(f"{record.name}: the same as before, not done again")
        else:
            self.say(f"{record.name}: {_how_good(record)}, {record.seconds:.0f} s {self._so_far()}")

    def again(self, name: str, why: str) -> None:
        """A clip goes back into the queue."""
        self.running.pop(name, None)
        self.say(f"{name}: waits again, as {why}")

    def tick(self) -> None:
        """Now and then."""
        if not self.terminal and time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            self.say(self.headline())

    def stopping(self, clips: int) -> None:
        """Somebody wants the batch to end."""
        self._stopping = True
        what = f"{clips} running clip{'s save their checkpoints' if clips != 1 else ' saves its checkpoint'}"
        self.say(f"stopping: {what}; Ctrl-C again ends at once" if clips else "stopping")

    def headline(self) -> str:
        """How much is done, and how long the rest will take."""
        parts = [f"{self.finished} of {self.total} finished"]
        parts += [f"{self.failed} failed"] if self.failed else []
        left = self.total - self.finished - self.failed
        parts += [f"{len(self.running)} running", f"{max(0, left - len(self.running))} waiting"]
        done = self.finished + self.failed - self._before
        if done and left > 0 and not self._stopping:
            parts.append(f"about {duration((time.monotonic() - self._begin) / done * left)} left")
        return ", ".join(parts)

    def _count(self, record: Record) -> None:
        self.finished += record.state == "finished"
        self.failed += record.state == "failed"

    def _so_far(self) -> str:
        return f"({self.finished + self.failed} of {self.total})"

    def _renderable(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2), expand=False)
        for _ in range(4):
            table.add_column(no_wrap=True, overflow="ellipsis")
        now = time.monotonic()
        shown = list(self.running.items())[:MOST_LINES]
        for name, (begun, words) in shown:
            cells = [plain(name, LONGEST_NAME), _bar(words), _stage(words), f"{now - begun:.0f} s"]
            table.add_row(*(Text(cell) for cell in cells))
        more = len(self.running) - len(shown)
        rest = [Text(f"... and {more} more")] if more > 0 else []
        return Group(Text(self.headline()), table, *rest)


def _how_good(record: Record) -> str:
    value = record.measures.get("psnr")
    return f"{record.label or 'PSNR'} {value:.2f} dB" if value is not None else "finished"


def _stage(words: dict[str, Any]) -> str:
    if words.get("stage") == "step":
        step, of, psnr = (words.get(name, 0) for name in ("step", "of", "psnr"))
        return f"step {step} of {of}, {psnr} dB"
    return plain(words.get("stage", ""), 60)


def _bar(words: dict[str, Any], width: int = 20) -> str:
    """A bar of a fit's steps; empty before the first."""
    step, of = words.get("step", 0), words.get("of", 0)
    if not (isinstance(step, int | float) and isinstance(of, int | float) and of > 0):
        return " " * width
    filled = round(width * min(1.0, step / of))
    return "━" * filled + "╌" * (width - filled)
