"""Example rows for the pages of the documentation: small, invented, and learnable in seconds."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

GOOD = ("wonderful", "lovely", "great", "superb", "charming")
BAD = ("dreadful", "boring", "awful", "dull", "clumsy")
PEOPLE = ("Mary Jones", "Li Wei", "Omar Hassan", "Anna Berg", "Tom Ito")
CITIES = ("Oslo", "Berlin", "Cape Town", "Kyoto", "Lima")


def reviews(path: Path) -> None:
    """Write 240 reviews with the columns ``body`` and ``opinion``.

    Args:
        path: a CSV file.
    """
    draw = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "opinion"])
        for number in range(240):
            word = draw.choice(GOOD if number % 2 else BAD)
            subject, degree = draw.choice(("film", "plot", "cast", "music")), draw.choice(("really", "quite", "very"))
            rest = draw.choice(
                ("I saw it on day {}.", "We sat in row {}.", "It is number {} on my list.", "{} people came.")
            )
            text = f"The {subject} was {degree} {word}. {rest.format(number + 1)}"
            writer.writerow([text, "good" if number % 2 else "bad"])


def stars(path: Path) -> None:
    """Write 200 reviews with the columns ``text`` and ``stars``, 1 to 5.

    Args:
        path: a CSV file.
    """
    draw = random.Random(0)
    words = ("awful", "weak", "fair", "good", "superb")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "stars"])
        for _ in range(200):
            rating = draw.randrange(5)
            writer.writerow([f"The {draw.choice(('food', 'room', 'view'))} was {words[rating]}.", rating + 1])


def german(path: Path) -> None:
    """Write 120 German reviews with the columns ``text`` and ``label``.

    Args:
        path: a CSV file.
    """
    draw = random.Random(0)
    words = {"gut": ("wunderbar", "ausgezeichnet", "herrlich"), "schlecht": ("furchtbar", "langweilig", "misslungen")}
    who = ("Meine Schwester", "Unser Nachbar", "Ein alter Freund", "Die ganze Familie", "Mein Lehrer", "Eine Kollegin")
    did = ("ist im Sommer gekommen", "hat lange gewartet", "wollte nach Hause", "trank noch einen Kaffee")
    with_whom = ("mit den Kindern", "ohne seinen Hund", "nach der Arbeit", "vor dem Regen", "mit dem Fahrrad")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(120):
            label = draw.choice(("gut", "schlecht"))
            subject = draw.choice(("Das Essen", "Das Zimmer", "Die Aussicht", "Der Strand", "Das Frühstück"))
            rest = f"{draw.choice(who)} {draw.choice(did)}, und zwar {draw.choice(with_whom)}."
            writer.writerow([f"{subject} war {draw.choice(words[label])}. {rest}", label])


def names(path: Path) -> None:
    """Write 200 sentences with tagged names, one word and its tag per line.

    Args:
        path: a CoNLL file.
    """
    draw = random.Random(0)
    lines = []
    for _ in range(200):
        person, city = draw.choice(PEOPLE), draw.choice(CITIES)
        verb = draw.choice(("flew to", "lives in", "likes", "left"))
        for text, kind in ((person, "PER"), (verb, None), (city, "LOC"), (".", None)):
            for index, word in enumerate(text.split()):
                lines.append(f"{word}\t{'O' if kind is None else ('I-' if index else 'B-') + kind}")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def squad_questions(path: Path) -> None:
    """Write 160 questions in SQuAD's format.

    Args:
        path: a JSON file.
    """
    draw = random.Random(0)
    articles = []
    for number in range(160):
        person, city, year = draw.choice(PEOPLE), draw.choice(CITIES), 1900 + number
        context = f"{person} was born in {city} in {year}."
        question, answer = draw.choice(((f"Where was {person} born?", city), (f"When was {person} born?", str(year))))
        answers = [{"text": answer, "answer_start": context.index(answer, len(person))}]
        questions = [{"id": str(number), "question": question, "answers": answers}]
        articles.append({"title": str(number), "paragraphs": [{"context": context, "qas": questions}]})
    document = {"version": "1.1", "data": articles}
    path.write_text(json.dumps(document), encoding="utf-8")


def translations(path: Path) -> None:
    """Write 384 English sentences with their German translations.

    Args:
        path: a CSV file with the columns ``en`` and ``de``.
    """
    draw = random.Random(0)
    subjects = {"the dog": "der Hund", "the cat": "die Katze", "my friend": "mein Freund", "the child": "das Kind"}
    subjects |= {"the man": "der Mann", "the woman": "die Frau", "a bird": "ein Vogel", "the horse": "das Pferd"}
    verbs = {"sees": "sieht", "likes": "mag", "finds": "findet", "hears": "hört", "has": "hat", "buys": "kauft"}
    objects = {"the house": "das Haus", "the book": "das Buch", "the bread": "das Brot", "the water": "das Wasser"}
    objects |= {"the picture": "das Bild", "the radio": "das Radio", "the boat": "das Boot", "the glass": "das Glas"}
    pairs = [
        (f"{s} {v} {o}", f"{subjects[s]} {verbs[v]} {objects[o]}") for s in subjects for v in verbs for o in objects
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["en", "de"])
        writer.writerows(draw.sample(pairs, len(pairs)))


def conversations(path: Path) -> None:
    """Write 120 short conversations.

    Args:
        path: a JSON lines file with the column ``turns``.
    """
    draw = random.Random(0)
    lines = []
    for number in range(120):
        name, city = draw.choice(PEOPLE), draw.choice(CITIES)
        turns = [
            f"Hello, I am {name}.",
            f"Hello {name}! How can I help?",
            f"Where is order {number}?",
            f"It is in {city}.",
        ]
        lines.append(json.dumps({"turns": turns}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


SAMPLES: dict[str, Callable[[Path], None]] = {
    "hotels.csv": german,
    "reviews.csv": reviews,
    "stars.csv": stars,
    "names.conll": names,
    "questions.json": squad_questions,
    "translations.csv": translations,
    "conversations.jsonl": conversations,
}
