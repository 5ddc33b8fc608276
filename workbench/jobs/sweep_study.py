"""What Optuna does for a sweep: propose the next trial, decide which trial to prune, and tell which fields mattered.

Its storage is an SQLite file in the sweep's folder. A proposal depends on the sweep's seed, the trial's number and the
trials before it, and on nothing that a process holds: after a restart the sweep continues as it would have.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from workbench.errors import MissingPackageError
from workbench.jobs.sweep_space import Axis
from workbench.types import Json

if TYPE_CHECKING:
    import optuna

Stored: TypeAlias = "bool | int | float | str | None"  # what Optuna stores of a value

PRUNE_AFTER_TRIALS = 4  # that have ended, before one is pruned
RANDOM_TRIALS = 10  # before TPE has enough to learn from
MIN_TRIALS_FOR_IMPORTANCE = 5  # with a value

_SEED_STRIDE = 1_000_003  # a prime: the seeds of two sweeps' trials do not meet


def require_optuna() -> None:
    """Reduce Optuna's logging to errors. Raises MissingPackageError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise MissingPackageError("optuna", "for sweeps") from error
    optuna.logging.set_verbosity(logging.ERROR)


class Study:
    """A sweep's study.

    Args:
        file: the SQLite file, which is created if it is missing.
        axes: the fields that vary.
        method: ``grid``, ``random`` or ``tpe``.
        combinations: all trials of a grid, in order.
        maximize: whether more is better.
        seed: seed of the proposals.
    """

    def __init__(
        self,
        file: Path,
        axes: Mapping[str, Axis],
        method: str,
        combinations: Sequence[Mapping[str, Json]],
        maximize: bool,
        seed: int,
    ) -> None:
        self.axes, self.method, self.combinations, self.seed = axes, method, combinations, seed
        require_optuna()
        import optuna

        self.study: optuna.Study = optuna.create_study(
            storage=f"sqlite:///{file}",
            study_name="sweep",
            direction="maximize" if maximize else "minimize",
            load_if_exists=True,
            sampler=self._sampler(0),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER_TRIALS, n_warmup_steps=0),
        )

    def propose(self, number: int) -> dict[str, Json]:
        """Return the values of a trial; the same when it has been proposed already.

        Args:
            number: index of the trial, from 0.
        """
        while len(known := self.study.get_trials(deepcopy=False)) <= number:
            self.study.sampler = self._sampler(len(known))
            self._suggest(self.study.ask())
        # A process that was killed between asking and suggesting left a trial without some of its values.
        self.study.sampler = self._sampler(number)
        frozen = known[number]
        if frozen.state.is_finished():
            return {field: _decoded(frozen.params[field]) for field in self.axes}
        return self._suggest(self._trial(number))

    def report(self, number: int, evaluation: int, value: float) -> None:
        """Report what a trial had reached at an evaluation; a second report of the same one is ignored.

        Args:
            number: index of the trial.
            evaluation: its index, from 0.
            value: value of the metric.
        """
        trial = self._trial(number)
        if evaluation not in self.study.get_trials(deepcopy=False)[number].intermediate_values:
            trial.report(value, evaluation)

    def should_stop(self, number: int) -> bool:
        """Return whether a trial is worse than the median of the trials before it at the same evaluation.

        Args:
            number: index of the trial.
        """
        return bool(self._trial(number).should_prune())

    def tell(self, number: int, state: str, value: float | None) -> None:
        """Report how a trial ended; the first report counts.

        Args:
            number: index of the trial.
            state: ``succeeded``, ``pruned`` or ``failed``.
            value: value of the metric, where it has succeeded.
        """
        from optuna.trial import TrialState

        outcome = {"succeeded": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(state, TrialState.FAIL)
        values = value if outcome == TrialState.COMPLETE else None
        self.study.tell(number, values, state=outcome, skip_if_finished=True)

    def close(self) -> None:
        """Close the file."""
        storage = getattr(self.study._storage, "_backend", self.study._storage)
        engine = getattr(storage, "engine", None)
        if engine is not None:
            engine.dispose()

    def _trial(self, number: int) -> optuna.Trial:
        import optuna

        frozen = self.study.get_trials(deepcopy=False)[number]
        return optuna.Trial(self.study, frozen._trial_id)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Return a new sampler for one trial, so that nothing depends on how long a process has lived."""
        import optuna

        samplers = optuna.samplers
        seed = (self.seed * _SEED_STRIDE + number) % 2**32
        if self.method == "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
        random = samplers.RandomSampler(seed=seed)
        if self.method == "random":
            return random
        combination = self.combinations[min(number, len(self.combinations) - 1)]
        fixed = {field: _encoded(combination[field]) for field in self.axes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return samplers.PartialFixedSampler(fixed, random)

    def _suggest(self, trial: optuna.Trial) -> dict[str, Json]:
        return {field: _decoded(self._suggested(trial, field, axis)) for field, axis in self.axes.items()}

    def _suggested(self, trial: optuna.Trial, field: str, axis: Axis) -> Stored:
        if self.method == "grid" or axis.values is not None:
            return trial.suggest_categorical(field, [_encoded(value) for value in axis.grid()])
        assert axis.low is not None and axis.high is not None
        if axis.is_integer:
            return trial.suggest_int(field, int(axis.low), int(axis.high), log=axis.log)
        return trial.suggest_float(field, axis.low, axis.high, log=axis.log)


def _encoded(value: Json) -> Stored:
    """Return a value as Optuna stores it, which knows no lists and mappings."""
    return value if value is None or isinstance(value, bool | int | float | str) else "json:" + json.dumps(value)


def _decoded(value: Stored) -> Json:
    return json.loads(value[5:]) if isinstance(value, str) and value.startswith("json:") else value


def importance(axes: Mapping[str, Axis], trials: Sequence[tuple[Mapping[str, Json], float]]) -> dict[str, float]:
    """Return how much of the difference between trials each field explains.

    fANOVA (Hutter, Hoos and Leyton-Brown, 2014), as ``optuna.importance`` implements it. It needs scikit-learn.

    Args:
        axes: the fields that varied.
        trials: values and result of each trial that has one.

    Returns:
        Shares of 1 by field, the largest first. Empty when there are fewer than ``MIN_TRIALS_FOR_IMPORTANCE`` trials,
        or they do not differ.
    """
    if len(trials) < MIN_TRIALS_FOR_IMPORTANCE or len({value for _, value in trials}) < 2:
        return {}
    require_optuna()
    import optuna

    varied = [field for field in axes if len({_encoded(values[field]) for values, _ in trials}) > 1]
    study = optuna.create_study(direction="maximize")
    spaces = {field: _distribution(axes[field]) for field in varied}
    for values, result in trials:
        params = {field: _encoded(values[field]) for field in varied}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, value=result))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {field: float(share) for field, share in shares.items()}


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if axis.values is not None:
        return distributions.CategoricalDistribution([_encoded(value) for value in axis.values])
    assert axis.low is not None and axis.high is not None
    if axis.is_integer:
        return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
