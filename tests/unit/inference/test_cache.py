"""The predictor cache: limits, least recently used predictors are dropped, and tied weights count once."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from workbench.inference.cache import PredictorCache, weight_bytes
from workbench.inference.predictor import Predictor


def fake_predictor(size: int) -> Predictor:
    return cast(Predictor, SimpleNamespace(size=size))


def cache_of(most_bytes: int, **more: Any) -> PredictorCache:
    return PredictorCache(most_bytes, measure=lambda predictor: cast(Any, predictor).size, **more)


def test_the_least_recently_used_is_dropped_first() -> None:
    cache = cache_of(100)
    first = cache.get(("a",), lambda: fake_predictor(40))
    cache.get(("b",), lambda: fake_predictor(40))
    assert cache.get(("a",), lambda: fake_predictor(999)) is first
    cache.get(("c",), lambda: fake_predictor(40))
    assert cache.bytes == 80 and cache.get(("a",), lambda: fake_predictor(999)) is first
    again = fake_predictor(40)
    assert cache.get(("b",), lambda: again) is again  # b was dropped; loading it again drops c
    assert len(cache) == 2


def test_a_predictor_above_the_limit_stays_alone() -> None:
    cache = cache_of(100)
    cache.get(("a",), lambda: fake_predictor(60))
    cache.get(("big",), lambda: fake_predictor(500))
    assert len(cache) == 1 and cache.bytes == 500


def test_the_number_of_predictors_is_limited() -> None:
    cache = cache_of(10**9, most=3)
    for number in range(10):
        cache.get((number,), lambda: fake_predictor(1))
    assert len(cache) == 3


def test_a_failed_load_keeps_the_others() -> None:
    cache = cache_of(100)
    cache.get(("a",), lambda: fake_predictor(1))
    with pytest.raises(ZeroDivisionError):
        cache.get(("b",), lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    assert len(cache) == 1 and cache.get(("b",), lambda: fake_predictor(2)).size == 2  # type: ignore[attr-defined]


def test_concurrent_requests_load_once() -> None:
    cache, loads, gate = cache_of(100), [], threading.Barrier(4)

    def request() -> None:
        gate.wait()
        cache.get(("a",), lambda: (loads.append(1), fake_predictor(1))[1])

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_tied_weights_count_once() -> None:
    first, second = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    model = torch.nn.Sequential(first, second, torch.nn.BatchNorm1d(4, affine=False))
    expected = 16 * 4 + (4 + 4) * 4 + 8  # the shared matrix, mean and variance, and a counter in int64
    assert weight_bytes(cast(Predictor, SimpleNamespace(model=model))) == expected
