"""Quantiles that intervals are computed from."""

from __future__ import annotations

from workbench.errors import MissingPackageError


def t_quantile(freedom: float, probability: float = 0.975) -> float:
    """Return a quantile of Student's t distribution.

    Args:
        freedom: degrees of freedom; above 1e10 the normal distribution is used.
        probability: probability of a smaller value; 0.975 for a two-sided 95% interval.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    try:
        from scipy.special import stdtrit  # scipy.stats, which has t.ppf, takes 25 MB of memory
    except ImportError as error:
        raise MissingPackageError("scipy", "for intervals over runs") from error
    return float(stdtrit(min(freedom, 1e10), probability))
