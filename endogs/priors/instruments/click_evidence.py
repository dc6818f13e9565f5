"""What is known of a frame before anybody clicks on it: the log odds of instruments."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from endogs.priors.instruments.by_color import ColorSearch
from endogs.priors.instruments.evidence import colors_speak
from endogs.priors.instruments.tissue_colors import Chroma

if TYPE_CHECKING:
    from endogs.clip import Clip


def instrument_odds(clip: "Clip") -> Callable[[int], Chroma] | None:
    """Log odds (h, w) of instruments by frame, above 0 = rather instrument; None where colour cannot tell them."""
    search = ColorSearch(clip)
    if search.tissue is None or not search.tissue.are_red:
        return None

    def odds(index: int) -> Chroma:
        assert search.tissue is not None
        return colors_speak(search.small(index), search.view, search.tissue, search.table).log_odds

    return odds
