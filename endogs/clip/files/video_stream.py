"""Which of a file's video streams is the film."""

from typing import Any

MOST_PACKETS = 400
"""Packets of all streams that are looked at to tell a film from a still."""
DEFAULT_PIXELS = 5_000_000
"""Pixels that the flag "default" is worth to FFmpeg (fftools/ffmpeg_mux_init.c, map_auto_video)."""
STILLS = ("attached_pic", "timed_thumbnails", "still_image")
"""Dispositions of streams that are no film."""


def film_stream(container: Any) -> tuple[Any, list[str]]:
    """The video stream of an open `av` container that FFmpeg would take, and a note where others were left out.

    A film goes before stills (posters, thumbnails, streams of one picture), then counts what FFmpeg counts: pixels, and
    DEFAULT_PIXELS more for the stream that is marked as default. Packets may be taken from the container.
    """
    streams = list(container.streams.video)
    films = [stream for stream in streams if not _is_still(stream)] or streams
    if len(films) > 1:
        moving = _of_several_pictures(container, films)
        films = [stream for stream in films if stream.index in moving] or films
    chosen = max(films, key=lambda stream: (_pixels(stream) + DEFAULT_PIXELS * _is_default(stream), -stream.index))
    left_out = [stream for stream in streams if stream is not chosen and not _is_still(stream)]
    if not left_out:
        return chosen, []
    others = ", ".join(f"stream {stream.index} ({_words(stream)})" for stream in left_out)
    return chosen, [
        f"the file holds {len(left_out) + 1} video streams: stream {chosen.index} ({_words(chosen)}) is read, not used "
        f"{'is' if len(left_out) == 1 else 'are'} {others}."
    ]


def _of_several_pictures(container: Any, streams: list[Any]) -> set[int]:
    """Indices of the streams that hold more than one picture, as far as the first packets tell."""
    import av

    seen = {stream.index: 0 for stream in streams}
    try:
        for count, packet in enumerate(container.demux(streams)):
            if packet.size:
                seen[packet.stream_index] += 1
            if count >= MOST_PACKETS or min(seen.values()) > 1:
                break
    except (av.FFmpegError, OSError):
        return set()
    return {index for index, packets in seen.items() if packets > 1}


def _is_still(stream: Any) -> bool:
    names = {flag.name for flag in type(stream.disposition) if flag in stream.disposition}
    return bool(names & set(STILLS))


def _is_default(stream: Any) -> bool:
    return any(flag.name == "default" for flag in type(stream.disposition) if flag in stream.disposition)


def _pixels(stream: Any) -> int:
    context = stream.codec_context  # None where nothing decodes it
    return 0 if context is None else int(context.width) * int(context.height)


def _words(stream: Any) -> str:
    context = stream.codec_context
    if context is None:
        return "of an unknown kind"
    return f"{context.name}, {context.width} x {context.height}{', default' if _is_default(stream) else ''}"
