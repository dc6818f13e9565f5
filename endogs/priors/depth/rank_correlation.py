"""Whether two depths put things into the same order."""

import numpy as np


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of at most about 5000 of the values (P,); 0 when one is constant."""
    step = max(1, a.size // 5000)
    ranks = [np.argsort(np.argsort(x[::step])).astype(float) for x in (a, b)]
    constant = np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9
    return 0.0 if constant else float(np.corrcoef(ranks[0], ranks[1])[0, 1])
