"""The data sets of the catalogue, read from a mirror of their files."""

from __future__ import annotations

from collections import Counter

import pytest

from workbench.data.catalogue.entries import dataset
from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.spec import DataSpec
from workbench.workspace import Workspace

ROLES = [
    Column("text", ""), Column("label", "", kind="label"), Column("words", "", kind="words"),
    Column("tags", "", kind="tags"), Column("question", ""), Column("context", ""),
    Column("answers", "", kind="answers"), Column("source", ""), Column("target", "", target=True),
    Column("summary", "", kind="texts", target=True), Column("turns", "", kind="texts"), Column("user", ""),
    Column("time", "", kind="number"), Column("history", "", may_be_empty=True), Column("candidate", ""),
    Column("choices", "", kind="texts"), Column("text_a", ""), Column("text_b", ""),
]  # fmt: skip


def load(name: str, workspace: Workspace) -> Dataset:
    roles = dataset(name).columns
    return load_data(DataSpec(train=name), [column for column in ROLES if column.role in roles], workspace)


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("wnut17", (3394, 1009, 1287)),
        ("wikigold", 1696),
        ("snips-slots", (13784, 700)),
        ("cluener", (10748, 1343)),
        ("tnews", (10000, 2000, 2000)),
        ("semeval2010-task8", (8000, 2717)),
        ("xquad-en", 1190),
        ("xquad-zh", 1190),
        ("xquad-de", 1190),
        ("cmrc2018", (3219, 1000)),  # two questions of the test split are empty
        ("tatoeba-en-zh", 26388),
        ("jupyterlab-de", 1108),
        ("scitldr", (1992, 619, 618)),
        ("crosswoz", 500),
    ],
)
def test_data_sets_have_the_published_sizes(name, counts, workspace: Workspace, mirror) -> None:
    """Splits that are held out here count as train."""
    loaded = load(name, workspace)
    splits = {"train": len(loaded.train), "valid": len(loaded.valid), "test": len(loaded.test)}
    published = {split: n for split, n in splits.items() if split in dataset(name).splits}
    published["train"] += sum(splits.values()) - sum(published.values())
    assert tuple(published.values()) == (counts if isinstance(counts, tuple) else (counts,))
    for examples in (loaded.train, loaded.valid, loaded.test):
        assert len(set(examples.ids)) == len(examples)
        for answers, context in zip(*(examples.columns.get(n, ()) for n in ("answers", "context")), strict=True):
            assert answers and all(context[a["start"] :].startswith(a["text"]) for a in answers)


@pytest.mark.mirror
@pytest.mark.parametrize("name", ["xquad-en", "tatoeba-en-zh", "wikigold"])
def test_groups_stay_in_one_split(name, workspace: Workspace, mirror) -> None:
    loaded = load(name, workspace)
    role = {"xquad-en": "context", "tatoeba-en-zh": "source", "wikigold": "words"}[name]
    values_by_split = [
        {str(value) for value in examples.columns[role]} for examples in (loaded.train, loaded.valid, loaded.test)
    ]
    assert all(values_by_split) and sum(map(len, values_by_split)) == len(set.union(*values_by_split))


@pytest.mark.mirror
def test_kinds_of_names_and_relations(workspace: Workspace, mirror) -> None:
    tags = {tag for row in load("wnut17", workspace).train.columns["tags"] for tag in row}
    kinds = {"corporation", "creative-work", "group", "location", "person", "product"}
    assert tags == {"O", *(f"{side}-{kind}" for side in "BI" for kind in kinds)}
    tags = {tag for row in load("wikigold", workspace).train.columns["tags"] for tag in row}
    assert tags == {"O", "I-LOC", "I-MISC", "I-ORG", "I-PER"}
    assert len(set(load("semeval2010-task8", workspace).train.columns["label"])) == 19


@pytest.mark.slow
@pytest.mark.mirror
def test_no_history_contains_a_later_rating(workspace: Workspace, mirror) -> None:
    """Check 300 ratings by brute force."""
    names = ("user", "time", "label", "candidate", "history")
    loaded = load("movielens-small", workspace)
    assert [len(loaded.train), len(loaded.valid), len(loaded.test)] == [80668, 10084, 10083]
    assert max(loaded.train.columns["time"]) <= min(loaded.valid.columns["time"])
    assert max(loaded.valid.columns["time"]) <= min(loaded.test.columns["time"])
    ratings = [
        row
        for examples in (loaded.train, loaded.valid, loaded.test)
        for row in zip(*(examples.columns[name] for name in names), strict=True)
    ]
    by_user: dict[str, list[tuple]] = {}
    for row in ratings:
        by_user.setdefault(row[0], []).append(row)
    for user, time, _, _, history in ratings[::337]:
        before = [row for row in by_user[user] if row[1] < time and row[2] == "liked"]
        newest = Counter(row[3] for row in sorted(before, key=lambda row: -row[1])[:10])
        assert Counter(history.split("; ") if history else []) == newest or tied(before, history)


def tied(before: list[tuple], history: str) -> bool:
    """Return whether the tenth film is one of several of the same second: any of them is correct."""
    times = sorted((row[1] for row in before), reverse=True)
    shown = history.split("; ")
    time_of_film = {(row[3]): row[1] for row in before}
    return len(shown) == 10 and all(time_of_film[film] >= times[9] for film in shown)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("jupyterlab-fr", 3240),
        ("jupyterlab-zh", 3228),
        ("chatterbot-en", 898),
        ("chatterbot-zh", 465),
        ("chatterbot-faq-en", 898),
        ("next-sentences", 2737),
    ],
)
def test_data_sets_in_packages(name, count, workspace: Workspace, shared_cache) -> None:
    loaded = load(name, workspace)
    assert len(loaded.train) + len(loaded.valid) + len(loaded.test) == count
    for examples in (loaded.train, loaded.valid, loaded.test):
        assert all(len(turns) >= 2 for turns in examples.columns.get("turns", ()))
