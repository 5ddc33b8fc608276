"""What Optuna does for a sweep: it proposes the next trial, says which trial to give up, and what mattered.

Its storage is an SQLite file in the sweep's folder. A proposal depends on the sweep's seed, the trial's number and the
trials before it, and on nothing that a process holds: after a restart the sweep goes on as it would have.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import MissingPackageError
from workbench.jobs.sweep_space import Axis

if TYPE_CHECKING:
    import optuna

PRUNE_AFTER_TRIALS = 4  # that have ended, before one is given up
RANDOM_TRIALS = 10  # before TPE has enough to learn from
LEAST_FOR_IMPORTANCE = 5  # trials with a value

_SEEDS_APART = 1_000_003  # a prime: the seeds of two sweeps' trials do not meet


def optuna_() -> Any:
    """The package, quiet. Raises MissingPackageError."""
    try:
        import optuna
    except ImportError as error:
        raise MissingPackageError("optuna", "for sweeps") from error
    optuna.logging.set_verbosity(logging.ERROR)
    return optuna


class Study:
    """A sweep's study.

    Args:
        file: the SQLite file; made when it is missing.
        axes: what is varied.
        method: ``grid``, ``random`` or ``tpe``.
        combinations: all trials of a grid, in order.
        maximize: whether more is better.
        seed: of the proposals.
    """

    def __init__(
        self,
        file: Path,
        axes: Mapping[str, Axis],
        method: str,
        combinations: Sequence[Mapping[str, Any]],
        maximize: bool,
        seed: int,
    ) -> None:
        self.axes, self.method, self.combinations, self.seed = axes, method, combinations, seed
        self._optuna = optuna_()
        self.study: optuna.Study = self._optuna.create_study(
            storage=f"sqlite:///{file}",
            study_name="sweep",
            direction="maximize" if maximize else "minimize",
            load_if_exists=True,
            sampler=self._sampler(0),
            pruner=self._optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER_TRIALS, n_warmup_steps=0),
        )

    def propose(self, number: int) -> dict[str, Any]:
        """The values of trial ``number``; the same again when it has been proposed already."""
        while len(known := self.study.get_trials(deepcopy=False)) <= number:
            self.study.sampler = self._sampler(len(known))
            self._suggest(self.study.ask())
        # A process that was killed between asking and suggesting left a trial without some of its values.
        self.study.sampler = self._sampler(number)
        frozen = known[number]
        if frozen.state.is_finished():
            return {field: _decoded(frozen.params[field]) for field in self.axes}
        return self._suggest(self._trial(number))

    def report(self, number: int, place: int, value: float) -> None:
        """Say what trial ``number`` had reached at its evaluation ``place``; saying it twice does no harm."""
        trial = self._trial(number)
        if place not in self.study.get_trials(deepcopy=False)[number].intermediate_values:
            trial.report(value, place)

    def should_stop(self, number: int) -> bool:
        """Whether trial ``number`` is worse than the median of the trials before it at the same place."""
        return bool(self._trial(number).should_prune())

    def tell(self, number: int, state: str, value: float | None) -> None:
        """Say how a trial ended: ``succeeded`` with its value, ``pruned``, or ``failed``; the first word counts."""
        states = self._optuna.trial.TrialState
        told = {"succeeded": states.COMPLETE, "pruned": states.PRUNED}.get(state, states.FAIL)
        values = value if told == states.COMPLETE else None
        self.study.tell(number, values, state=told, skip_if_finished=True)

    def close(self) -> None:
        """Let go of the file."""
        storage = getattr(self.study._storage, "_backend", self.study._storage)
        engine = getattr(storage, "engine", None)
        if engine is not None:
            engine.dispose()

    def _trial(self, number: int) -> Any:
        frozen = self.study.get_trials(deepcopy=False)[number]
        return self._optuna.trial.Trial(self.study, frozen._trial_id)

    def _sampler(self, number: int) -> Any:
        """The sampler of one trial: made anew for each, so that nothing depends on how long a process has lived."""
        samplers = self._optuna.samplers
        seed = (self.seed * _SEEDS_APART + number) % 2**32
        if self.method == "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
        random = samplers.RandomSampler(seed=seed)
        if self.method == "random":
            return random
        chosen = self.combinations[min(number, len(self.combinations) - 1)]
        fixed = {field: _encoded(chosen[field]) for field in self.axes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return samplers.PartialFixedSampler(fixed, random)

    def _suggest(self, trial: Any) -> dict[str, Any]:
        return {field: _decoded(self._suggested(trial, field, axis)) for field, axis in self.axes.items()}

    def _suggested(self, trial: Any, field: str, axis: Axis) -> Any:
        if self.method == "grid" or axis.values is not None:
            return trial.suggest_categorical(field, [_encoded(value) for value in axis.grid()])
        suggest = trial.suggest_int if axis.whole else trial.suggest_float
        return suggest(field, axis.low, axis.high, log=axis.log)


def _encoded(value: Any) -> Any:
    """A value as Optuna stores it: it knows no lists and mappings."""
    return value if value is None or isinstance(value, bool | int | float | str) else "json:" + json.dumps(value)


def _decoded(value: Any) -> Any:
    return json.loads(value[5:]) if isinstance(value, str) and value.startswith("json:") else value


def importance(axes: Mapping[str, Axis], trials: Sequence[tuple[Mapping[str, Any], float]]) -> dict[str, float]:
    """How much of the difference between trials each field explains, as shares of 1, the largest first.

    fANOVA of Hutter, Hoos and Leyton-Brown 2014, as ``optuna.importance`` has it; it needs scikit-learn.

    Args:
        axes: what was varied.
        trials: values and result of each trial that has one.

    Returns:
        Empty when there are fewer than ``LEAST_FOR_IMPORTANCE`` trials, or they do not differ.
    """
    if len(trials) < LEAST_FOR_IMPORTANCE or len({value for _, value in trials}) < 2:
        return {}
    optuna = optuna_()
    varied = [field for field in axes if len({_encoded(values[field]) for values, _ in trials}) > 1]
    study = optuna.create_study(direction="maximize")
    spaces = {field: _distribution(optuna, field, axes[field], trials) for field in varied}
    for values, result in trials:
        params = {field: _encoded(values[field]) for field in varied}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, value=result))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {field: float(share) for field, share in found.items()}


def _distribution(optuna: Any, field: str, axis: Axis, trials: Sequence[tuple[Mapping[str, Any], float]]) -> Any:
    kinds = optuna.distributions
    if axis.values is not None:
        return kinds.CategoricalDistribution([_encoded(value) for value in axis.values])
    kind = kinds.IntDistribution if axis.whole else kinds.FloatDistribution
    return kind(axis.low, axis.high, log=axis.log)
