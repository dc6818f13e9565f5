"""The command line: one flat level of verbs, each a config dataclass and the function that runs it."""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Union

import tyro

from endogs import standard_streams
from endogs.batches.config import Batch
from endogs.bounded_files import expanded
from endogs.cli_words import IN_WORDS, spelled_out
from endogs.doctor.config import Doctor
from endogs.errors import FitDiverged, InputError
from endogs.evaluate.config import ComparePoses, Evaluate
from endogs.export.kinds import KINDS, check_kind
from endogs.late_names import at_place
from endogs.live.config import View
from endogs.phantom.config import Phantom
from endogs.pictures.config import RenderScene
from endogs.pipeline.config import Inspect, Track
from endogs.pipeline.options import Reconstruct
from endogs.plain_text import plain
from endogs.version import __version__

if TYPE_CHECKING:
    AnyExport = Any
else:
    AnyExport = Union[tuple(Annotated[kind.options, tyro.conf.subcommand(name)] for name, kind in KINDS.items())]  # noqa: UP007


@dataclass(frozen=True)
class Export:
    """Write a scene in a form that other programs read; endogs export KIND --help explains a kind."""

    what: Annotated[AnyExport, tyro.conf.arg(name="")]


Verb = (
    Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Batch, tyro.conf.subcommand("batch")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[RenderScene, tyro.conf.subcommand("render")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[ComparePoses, tyro.conf.subcommand("compare-poses")]
    | Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Track, tyro.conf.subcommand("track")]
    | Annotated[Phantom, tyro.conf.subcommand("phantom")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)

RUNNERS: dict[type, str] = {
    Reconstruct: "endogs.pipeline.reconstruct:run",
    Batch: "endogs.batches.run:run_batch",
    View: "endogs.live.view_command:run_view",
    RenderScene: "endogs.pictures.render_command:run_render",
    Evaluate: "endogs.evaluate.evaluate_command:run_evaluate",
    ComparePoses: "endogs.evaluate.compare_poses_command:run_compare_poses",
    Inspect: "endogs.pipeline.inspect:inspect",
    Track: "endogs.pipeline.track_command:run_track",
    Phantom: "endogs.phantom:run",
    Doctor: "endogs.doctor:run_doctor",
} | {kind.options: kind.runs for kind in KINDS.values()}
"""Where each verb's work is done; imported only when the verb runs, so that `--help` needs no torch."""


def run_verb(config: Any) -> Any:
    """Runs a verb's configuration with the function that belongs to it; with `--live` or `--edit` beside a browser."""
    place = RUNNERS[type(config)]
    if isinstance(config, Inspect) and config.masks and config.edit:
        browser = import_module("endogs.live.edit_masks").BrowserEditor(config.host, config.port)
    elif isinstance(config, Reconstruct) and config.live:
        browser = import_module("endogs.live.fit_watch").FitWatch(config.host, config.port)
    else:
        return at_place(place)(config)
    try:
        return at_place(place)(config, browser)
    finally:
        browser.stop()


MOST_READ = 100_000
AFTER_DIVERGENCE = (
    "--resume would take the same steps again: begin anew with --overwrite and another --seed, or check the clip with "
    "endogs inspect"
)
"""A checkpoint of the steps before is kept, and nothing in it is wrong; but what follows from it is."""
LONGEST_SENTENCE = 600
"""Letters of a sentence; longer ones quote something long."""


def shown(error: Exception) -> str:
    """The sentence of an error as text, since names and metadata in it may be a stranger's; indented lines stay lines,
    as of the list of layouts that a clip does not have.
    """
    return "\n  ".join(shortened(plain(line, MOST_READ)) for line in str(error).split("\n  "))


def shortened(sentence: str) -> str:
    """A sentence without the middle of what it quotes, where that is long: names come first, and advice last."""
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence
    return f"{sentence[: LONGEST_SENTENCE // 2]} ... {sentence[-LONGEST_SENTENCE // 3 :]}"


def check_current_folder() -> None:
    """InputError where the current folder is gone: relative names mean nothing there, and MKL ends the process."""
    try:
        os.getcwd()
    except OSError as error:
        raise InputError(f"the current folder cannot be found ({error.strerror}); change to another.") from error


def parse(arguments: Sequence[str], verbs: Any) -> Any:
    """The configuration that the command line asks for; exits with 2 where it cannot be understood."""
    complaint = io.StringIO()
    try:
        # `registry=` says the same, but tyro 1.0.0 does not hear it.
        with IN_WORDS, redirect_stderr(complaint):
            return tyro.cli(
                verbs,
                prog="endogs",
                description="Deformable 3D Gaussian scenes from endoscopic video.",
                args=arguments,
                # DisallowNone makes flags of `bool | None` too.
                config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.DisallowNone),
            )
    finally:
        # It echoes the words that it does not understand, which may be a file's name that a shell has put there.
        for line in complaint.getvalue().splitlines():
            print(plain(line), file=sys.stderr)


def follow_recipe(config: Reconstruct, arguments: Sequence[str]) -> Reconstruct:
    """The same command line with a recipe's options as defaults, where it names one; InputError for a bad recipe."""
    recipes = import_module("endogs.pipeline.recipe")
    recipe = recipes.find_recipe(config.input, config.data)
    if recipe is None or config.data is None:
        return config
    default = recipes.defaults(recipe, config.clip.start, config.clip.end)
    # Two verbs, because a union of one would have no subcommands.
    followed = parse(arguments, Annotated[Reconstruct, tyro.conf.subcommand("reconstruct", default=default)] | Doctor)
    return replace(followed, input=expanded(config.data), data=None)


def follow_list(config: Batch, arguments: Sequence[str]) -> Batch:
    """The same command line with the options of a recipe or of a list's [options] as defaults. Raises InputError."""
    shared = import_module("endogs.batches.clip_list").shared_defaults(config.input, config.data)
    if not shared:
        return config
    default = Batch(config.input, out=config.out, **shared)
    followed: Batch = parse(arguments, Annotated[Batch, tyro.conf.subcommand("batch", default=default)] | Doctor)
    return followed


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses the command line and runs the verb.

    Returns the exit code: 0, 2 after bad input or when words could not be written, 1 after a fit that diverged, each
    told in one sentence, or 130 after Ctrl-C. Bugs keep their traceback.
    """
    standard_streams.prepare()
    with standard_streams.all_letters():
        code = obey(list(sys.argv[1:] if arguments is None else arguments))
    if reason := standard_streams.unsaid():
        print(f"endogs: not all that was to be said could be written ({reason})", file=sys.stderr)
        return code or 2
    return code


def obey(arguments: list[str]) -> int:
    """What `main` does, but for its streams."""
    if arguments == ["--version"]:
        print(f"endogs {__version__}")
        return 0
    try:
        check_current_folder()
        if arguments[:1] == ["export"] and len(arguments) > 1 and not arguments[1].startswith("-"):
            check_kind(arguments[1])
        config = parse(spelled_out(arguments), Verb)
        if isinstance(config, Export):
            config = config.what
        if isinstance(config, Reconstruct):
            config = follow_recipe(config, arguments)
        if isinstance(config, Batch):
            config = follow_list(config, arguments)
        run_verb(config)
    except InputError as error:
        print(f"endogs: {shown(error)}", file=sys.stderr)
        return 2
    except FitDiverged as error:
        print(f"endogs: {shown(error)}; {AFTER_DIVERGENCE}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("endogs: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
