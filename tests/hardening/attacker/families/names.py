"""Names of files and folders that are too long, unprintable, or look like something else."""

import shutil

from attacker.case import Case, Workplace
from attacker.samples import SMALL_FIT

NAMES = (
    *(
        "\x1b]0;owned\x07",
        "\x1b[2Jclear",
        "line\nbreak",
        "tab\there",
        "back\x08\x08",
        "\u202etxt.exe",
        "\u200bzero",
        "\x9bq",
        "\x7f",
    ),
    *(
        b"\xff\xfe\xfa".decode("utf-8", "surrogateescape"),
        "\u2028sep",
        "[bold red]x[",
        "[b]",
        "a[0]",
        "%s%d",
        "{x}",
        "$(id)",
        "`id`",
    ),
    *(
        "x" * 200,
        "x" * 255,
        "ü" * 127,
        "🫀" * 60,
        " ",
        "  lead",
        "trail ",
        "-rf",
        "--help",
        "-",
        "a b",
        "'q'",
        '"q"',
        "a&b;c|d",
        "~",
        "*",
    ),
    *(
        "<script>alert(1)<",
        "<!--",
        "&amp;",
        "%04d",
        "frame_%d",
        "#",
        "?x=1",
        "http:",
        "file:",
        "concat:a",
        "pipe:0",
        "crypto:x",
        "data:,x",
    ),
    *("NUL", "..data", "...", "a.b.c", ".hidden", "é", "e\u0301", "x.partial", "scene.safetensors", "²", "٣"),
)


def evil_name(at: Workplace) -> Case:
    """A sound clip or scene, or what is to be written, under an evil name."""
    random, name = at.random, at.random.choice(NAMES)
    shutil.copytree(at.sample("scene-spline"), at.folder, dirs_exist_ok=True)
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    act = random.choice(("clip", "video", "scene", "file", "out", "inside", "missing", "title", "recipe", "camera"))
    prefix = random.choice(("", "", "./"))
    known = (name, shown, "clip", "out", "scene", "calibration")
    owned: tuple[str, ...] = ()
    if act in ("clip", "inside"):
        target = at.folder / ("clip" if act == "inside" else name)
        if act == "clip":
            (at.folder / "clip").rename(target)
        else:
            frame = sorted((target / "images").iterdir())[0]
            frame.rename(
                frame.parent / (name[:240] + ".png" if len(name.encode("utf-8", "surrogateescape")) < 250 else name)
            )
        verb = random.choice(
            (
                ("inspect", "--out", "sheet.png"),
                ("inspect",),
                ("reconstruct", "--out", "new", *SMALL_FIT),
                ("reconstruct", *SMALL_FIT),
            )
        )
        where = prefix + ("clip" if act == "inside" else name)
        return Case(f"{act} named {name[:60]!r}", (verb[0], where, *verb[1:]), known)
    if act == "video":
        shutil.copy(at.sample("video") / "clip.mp4", at.folder / name)
        return Case(f"video named {name[:60]!r}", ("inspect", prefix + name, "--out", "sheet.png"), known)
    if act in ("scene", "file"):
        target = at.folder / name
        if act == "scene":
            (at.folder / "out").rename(target)
        else:
            (at.folder / "out" / "scene.safetensors").rename(target)
        verb = random.choice(
            (
                ("export", "html"),
                ("export", "points"),
                ("export", "tracks"),
                ("evaluate",),
                ("render", "--out", "new.mp4"),
            )
        )
        rest = verb[2:] if verb[0] == "export" else verb[1:]
        return Case(f"{act} named {name[:60]!r}", (*verb[: len(verb) - len(rest)], prefix + name, *rest), known)
    if act == "out":
        ending = random.choice(("", ".mp4", ".ply", ".html", ".png", "/x.ply"))
        verb = random.choice(
            (
                ("render", "out"),
                ("export", "points", "out"),
                ("export", "html", "out"),
                ("inspect", "clip"),
                ("reconstruct", "clip", *SMALL_FIT),
            )
        )
        owned = (name + ending, name, (prefix + name + ending).removeprefix("./"))
        return Case(f"written to {(name + ending)[:60]!r}", (*verb, "--out", prefix + name + ending), known, owned)
    if act == "title":
        return Case(f"title {name[:60]!r}", ("export", "html", "out", "--out", "new.html", "--title", name), known)
    if act == "recipe":
        shutil.copy(at.sample("files") / "recipe.toml", at.folder / (name[:240] + ".toml"))
        return Case(
            f"recipe named {name[:60]!r}",
            ("reconstruct", prefix + name[:240] + ".toml", "--data", "clip", "--out", "new"),
            known,
        )
    if act == "camera":
        shutil.copy(at.sample("files") / "camera.json", at.folder / name)
        shutil.copytree(at.sample("images"), at.folder / "images")
        return Case(
            f"calibration named {name[:60]!r}",
            ("inspect", "images", "--out", "sheet.png", "--calibration", prefix + name),
            known,
        )
    verb = random.choice(
        (
            ("inspect",),
            ("reconstruct",),
            ("evaluate",),
            ("export", "html"),
            ("export", "mesh"),
            ("render", "--out", "new"),
        )
    )
    rest = verb[2:] if verb[0] == "export" else verb[1:]
    return Case(f"nothing is named {name[:60]!r}", (*verb[: len(verb) - len(rest)], prefix + name, *rest), known)
