"""Whose workers a batch runs on: those of a client that is given, of a scheduler that is named, or of this machine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from endogs.batches.config import Batch
from endogs.bounded_files import is_file
from endogs.errors import InputError
from endogs.plain_text import plain

if TYPE_CHECKING:
    from distributed import Client

INSTALL = 'endogs batch needs Dask: pip install "endogs[batch]"'
SCHEDULER_SECONDS = 15
"""How long a scheduler may take to answer."""


@dataclass(frozen=True)
class Workers:
    """A client, and what goes with it."""

    client: "Client"
    cores: int
    """Of a fit."""
    own: bool
    """Whether they were started by this process, and share its terminal."""

    @property
    def dashboard(self) -> str:
        """Where Dask's own pages are, and what is missing to see them."""
        try:
            import bokeh  # noqa: F401
        except ImportError:
            return f'{self.client.dashboard_link} (its charts need bokeh: pip install "endogs[batch]")'
        return str(self.client.dashboard_link)


def require_dask() -> None:
    """Raises InputError where Dask is not installed."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise InputError(f"{INSTALL} ({error}).") from error


@contextmanager
def workers_for(batch: Batch, clips: int, client: "Client | None" = None) -> Iterator[Workers]:
    """Workers for so many clips, as long as the block lasts.

    Raises InputError where a scheduler cannot be reached, and for options that do not go together.
    """
    import dask
    from distributed import Client
    from distributed.comm.addressing import parse_address
    from distributed.comm.registry import get_backend

    from endogs.batches.local_workers import layout_here, local_client

    if client is not None:
        if client.asynchronous:
            raise InputError("client: an asynchronous one cannot run a batch; make it without asynchronous=True.")
        yield Workers(client, batch.cores or 1, own=False)
        return
    address = batch.scheduler or dask.config.get("scheduler-address", None)
    if address is None:
        layout = layout_here(clips, batch.workers, batch.cores)
        with local_client(layout) as connected:
            yield Workers(connected, layout.cores_of_fit, own=True)
        return
    if batch.workers is not None:
        raise InputError("--workers starts workers on this machine, and --scheduler has its own; leave one out.")
    how = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    if "scheduler_file" in how and not is_file(Path(address)):
        raise InputError(
            f"--scheduler {plain(address, 200)}: no such file; a dask scheduler that is told so writes it: start it."
        )
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # the queue says it when the scheduler is lost
    try:
        if "address" in how:
            get_backend(parse_address(address)[0])  # a client of an unknown protocol would not end by itself
        connected = Client(**how, set_as_default=False, timeout=SCHEDULER_SECONDS)
    except (OSError, TimeoutError, ValueError, KeyError) as error:
        raise InputError(
            f"--scheduler {plain(address, 200)}: cannot be reached ({plain(error, 200)}); check the address."
        ) from error
    with connected:
        yield Workers(connected, batch.cores or 1, own=False)
