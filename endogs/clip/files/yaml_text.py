"""YAML of unknown origin: OpenCV's, ROS's and Kalibr's files, read within bounds and without running anything.

OpenCV's FileStorage begins with `%YAML:1.0`, which YAML itself has as `%YAML 1.0`, and tags matrices with
`!!opencv-matrix` (OpenCV's documentation of cv::FileStorage). PyYAML's safe loader makes nothing but plain values.
"""

from typing import Any

from endogs.bounded_files import NamedTwice

DEEPEST = 64
"""Nested lists and mappings; calibrations have fewer than ten."""
MOST_NODES = 100_000
"""Values in one file; calibrations have a few hundred."""


def parse_yaml(text: str) -> Any:
    """The value that a YAML text stands for, an OpenCV matrix as its mapping with rows, cols and data.

    Raises ValueError, saying what is wrong, for what is not YAML, holds aliases, which can make a small file a huge
    value, is nested deeper than DEEPEST or holds more than MOST_NODES values, and NamedTwice for a mapping with an
    entry twice.
    """
    import yaml

    lines = text.splitlines(keepends=True)
    if lines and lines[0].startswith("%YAML"):
        text = "".join(lines[1:])
    try:
        _check_events(text)
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error
    except RecursionError as error:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from error


def _check_events(text: str) -> None:
    """ValueError for aliases, depth and size, found from the text's events before any value is made."""
    import yaml

    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases (*name) are not read")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
        if count > MOST_NODES:
            raise ValueError(f"more than {MOST_NODES} values")


def _loader() -> Any:
    """The safe loader with OpenCV's matrices, and with numbers such as 9e-05, which YAML 1.1 takes for texts."""
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        """Of its own, so that PyYAML's stays as it is for others."""

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        names = [name.value for name, _ in node.value]
        plain_names = [name for name in names if isinstance(name, str)]
        if len(set(plain_names)) < len(plain_names):
            twice = next(name for name in plain_names if plain_names.count(name) > 1)
            raise NamedTwice(f"the entry {twice[:60]!r} stands twice in one mapping")
        return dict(loader.construct_mapping(node, deep=True))

    def plain(loader: Any, _: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return mapping(loader, node)
        return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value

    Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", mapping)
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_multi_constructor("tag:yaml.org,2002:opencv", plain)
    number = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return Loader
