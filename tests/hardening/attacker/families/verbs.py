"""Command lines that meet a scene: every verb that opens one."""

from random import Random

TIMES = (("0",), ("0",), ("0", "0.05"), ("first",), ("all",), ("all",), ("99",), ("1e300",))


def scene_command(random: Random, scene: str) -> tuple[tuple[str, ...], float]:
    """Arguments of a random verb that opens `scene`, and after how many seconds Ctrl-C is needed (0: never)."""
    turn = random.random()
    if turn < 0.06:
        return ("view", scene, "--port", str(random.randrange(20_000, 60_000))), 1.2
    if turn < 0.22:
        time = () if random.random() < 0.4 else ("--time", random.choice(("0", "0", "0.1", "-1")))
        what = ("--what", random.choice(("color", "depth", "side-by-side")))
        extra = random.choice(((), ("--even-exposure",), ("--light.offset", "5", "0", "0"), ("--light.ambient-only",)))
        return ("render", scene, "--out", random.choice(("new.mp4", "pictures")), *time, *what, *extra), 0
    if turn < 0.37:
        several = (scene, scene) if random.random() < 0.1 else (scene,)
        extra = random.choice(
            ((), (), ("--clip", "clip"), ("--report", "report.html"), ("--out", "numbers.json"), ("--split", "all"))
        )
        return ("evaluate", *several, *extra), 0
    kind = random.choice(("points", "splats", "mesh", "video", "depth", "cameras", "tracks", "html"))
    return ("export", kind, scene, *_options(random, kind)), 0


def _options(random: Random, kind: str) -> tuple[str, ...]:
    def some(*choices: tuple[str, ...]) -> tuple[str, ...]:
        return random.choice(choices)

    time = () if random.random() < 0.5 else ("--time", *random.choice(TIMES))
    if kind == "points":
        form = random.choice(("ply", "ply-ascii", "pcd", "xyz", "npz"))
        extra = some(
            (),
            ("--min-frames", "1"),
            ("--show", "seen"),
            ("--show", "filled-in"),
            ("--outlier-deviations", "2"),
            ("--albedo",),
        )
        return ("--out", "new", "--format", form, *time, *extra)
    if kind == "splats":
        time = () if random.random() < 0.5 else ("--time", random.choice(("0", "canonical", "all", "1e300")))
        return ("--out", "new", "--format", random.choice(("ply", "splat", "glb")), *time, *some((), ("--albedo",)))
    if kind == "mesh":
        return (
            "--out",
            "new",
            "--format",
            random.choice(("ply", "obj", "glb")),
            *time,
            *some((), (), ("--voxel", "2")),
        )
    if kind == "video":
        what = random.choice(("render", "depth", "side-by-side", "orbit", "instruments-removed"))
        clip = ("--clip", "clip") if what in ("side-by-side", "instruments-removed") and random.random() < 0.4 else ()
        return ("--out", "new.mp4", "--what", what, *clip, *some((), (), ("--fps", "30"), ("--scale", "2")))
    if kind == "depth":
        return ("--out", "new", "--format", random.choice(("png", "exr", "npy")), *time, *some((), ("--scale", "0.5")))
    if kind == "cameras":
        return random.choice(
            (
                ("--out", "new.tum", "--format", "tum"),
                ("--out", "new", "--format", "colmap"),
                ("--out", "new.json", "--format", "nerfstudio"),
            )
        )
    if kind == "tracks":
        return ("--out", random.choice(("new.csv", "new.npz")), *some((), ("--count", "5"), ("--gaussian", "0", "3")))
    return ("--out", "new.html", *some((), ("--max-gaussians", "20"), ("--title", "a title")))
