"""A cache of decoded frames that never grows beyond a number of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from numpy.typing import NDArray

DEFAULT_BYTES = 1 << 30
"""1 GiB: 1090 frames of 640 x 512, or 43 of 3840 x 2160."""


class FrameCache:
    """The most recently used arrays, at most `limit` bytes of them."""

    def __init__(self, limit: int = DEFAULT_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._arrays

    def put(self, key: Hashable, array: NDArray[Any]) -> None:
        """Keep `array` under `key`, dropping what was used longest ago; an array beyond the limit is not kept."""
        if array.nbytes > self.limit:
            return
        if key in self._arrays:
            self.bytes -= self._arrays.pop(key).nbytes
        self._arrays[key] = array
        self.bytes += array.nbytes
        self.limit_to(self.limit)

    def limit_to(self, limit: int) -> None:
        """Keep at most so many bytes from now on."""
        self.limit = limit
        while self.bytes > self.limit:
            self.bytes -= self._arrays.popitem(last=False)[1].nbytes

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array under `key`, made now when it is not there. Callers must not write to it."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        array = make()
        self.put(key, array)
        return array
