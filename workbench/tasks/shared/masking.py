"""Selection and replacement of masked tokens (Devlin et al. 2018, section 3.1 and appendix A.1).

All sampling uses torch's global generator and covers a batch at once. Shapes: ``B`` rows, ``T`` tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def draw_tokens(maskable: Tensor, wanted: Tensor) -> Tensor:
    """Choose exactly ``wanted`` tokens of each row, uniformly at random.

    Args:
        maskable: bool [B, T], the tokens to choose from.
        wanted: int64 [B].

    Returns:
        bool [B, T].
    """
    import torch

    draws = torch.rand(maskable.shape).masked_fill(~maskable, 2.0)
    ranks = draws.argsort(dim=1).argsort(dim=1)
    return (ranks < wanted[:, None]) & maskable


def draw_words(words: Tensor, wanted: Tensor) -> Tensor:
    """Choose whole words, until ``wanted`` tokens of each row are chosen.

    The word that would exceed ``wanted`` is chosen with the probability that makes the expected number of tokens equal
    to ``wanted``. At least one word of each row is chosen, so that there is something to predict.

    Args:
        words: int64 [B, T], index of each token's word; -1 for tokens that cannot be masked.
        wanted: int64 [B], number of tokens to choose in each row.

    Returns:
        bool [B, T], the chosen tokens.
    """
    import torch

    maskable = words != -1
    begins = maskable.clone()
    begins[:, 1:] &= words[:, 1:] != words[:, :-1]
    group = (begins.cumsum(dim=1) - 1).clamp(min=0)  # [B, T], the words of each row, numbered from 0
    sizes = torch.zeros(words.shape, dtype=torch.int64).scatter_add_(1, group, maskable.long())
    draws = torch.rand(words.shape).masked_fill(sizes == 0, 2.0)
    order = draws.argsort(dim=1)
    sorted_sizes = sizes.gather(1, order)
    after = sorted_sizes.cumsum(dim=1)
    left = wanted[:, None] - (after - sorted_sizes)  # tokens still to choose when a word is considered
    share = left.clamp(min=0) / sorted_sizes.clamp(min=1)
    taken = torch.rand(len(words), 1) < share  # the probability is 1 for the words that fit
    taken[:, 0] = True
    chosen = torch.zeros_like(taken).scatter_(1, order, taken)
    return chosen.gather(1, group) & maskable


def replace(
    ids: Tensor, masked: Tensor, mask_id: int, ordinary: Tensor, mask_share: float, random_share: float
) -> Tensor:
    """Replace masked tokens: most become [MASK], some become a random token, some stay unchanged.

    Args:
        ids: int64 [B, T].
        masked: bool [B, T].
        mask_id: the token [MASK].
        ordinary: int64 [K], the tokens that can replace another.
        mask_share: share of the masked tokens that become [MASK].
        random_share: share that becomes a token sampled from ``ordinary``; the rest stays unchanged.

    Returns:
        int64 [B, T], the model's input.
    """
    import torch

    draws = torch.rand(ids.shape)
    others = ordinary[torch.randint(len(ordinary), ids.shape)]
    shown = ids.masked_fill(masked & (draws < mask_share), mask_id)
    return torch.where(masked & (draws >= mask_share) & (draws < mask_share + random_share), others, shown)
