"""What is known of one clip of a batch: one JSON file, written by whoever holds the clip's lock."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from endogs.batches.identity import Identity, identity_from
from endogs.bounded_files import read_json
from endogs.errors import InputError
from endogs.output import to_json, write_json

FORMAT = "endogs-batch-clip-1"
State = Literal["waiting", "running", "finished", "failed", "interrupted"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Record:
    """A clip of a batch, and what came of it."""

    name: str
    input: str
    state: State = "waiting"
    error: str = ""
    """Of one that failed: one sentence."""
    stopped: bool = False
    """Whether a checkpoint is worth going on from: it was interrupted, killed or out of time, and did not diverge."""
    identity: Identity | None = None
    """Known from when the clip could be opened."""
    digest: str = ""
    """`Job.digest` of its last attempt."""
    signature: str | None = None
    """`files_signature` when it was opened."""
    options: dict[str, Any] = field(default_factory=dict)
    """Those that are not as by default."""
    attempts: int = 0
    """How often its reconstruction was begun or resumed."""
    resumed: int = 0
    """How many of the attempts went on from a checkpoint."""
    worker: str = ""
    """The machine of the last attempt."""
    started: str = ""
    seconds: float = 0.0
    """Of all attempts."""
    memory_mb: float = 0.0
    """The largest resident size."""
    needed: float = 0.0
    """Bytes that were estimated beforehand."""
    cores: int = 1
    device: str = ""
    frames: int = 0
    width: int = 0
    height: int = 0
    gaussians: int = 0
    iterations: int = 0
    seed: int = 0
    measures: dict[str, float | None] = field(default_factory=dict)
    """Means over the test frames, as in metrics.json, those of the best baseline as "psnr_baseline"."""
    label: str = ""
    """What the PSNR is, as in metrics.json."""
    steps_psnr: list[float] = field(default_factory=list)
    """Training PSNR over the fit, dB."""
    frames_psnr: list[float | None] = field(default_factory=list)
    """PSNR of the test frames, dB."""
    thumbnail: str = ""
    """A JPEG in base64."""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done unless somebody asks for it."""
        return self.state in ("finished", "failed")


def write_record(path: Path, record: Record) -> None:
    """Writes the file, whole or not at all. Raises InputError when the place is not writable."""
    write_json(path, {"format": FORMAT} | to_json(asdict(record)))


def read_record(path: Path) -> Record | None:
    """The record in a file; None where there is none that this endogs can read."""
    try:
        values = read_json(path) if path.is_file() else None
    except InputError:
        return None
    return record_of(values) if isinstance(values, dict) and values.get("format") == FORMAT else None


def record_of(values: dict[str, Any]) -> Record | None:
    """A record from its JSON; None where a value is of another type than it should be."""
    default = Record("", "")
    found: dict[str, Any] = {}
    for one in fields(Record):
        value = values.get(one.name, getattr(default, one.name))
        if one.name == "identity":
            value = identity_from(value)
        elif one.name == "signature":
            value = value if isinstance(value, str) else None
        elif not isinstance(value, _kinds(getattr(default, one.name))):
            return None
        found[one.name] = value
    return Record(**found) if found["state"] in STATES else None


def _kinds(value: Any) -> Any:
    return (int, float) if isinstance(value, float) else type(value)
