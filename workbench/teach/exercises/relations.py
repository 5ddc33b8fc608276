"""Lesson 04, relations: the marked things, facts with a direction, accuracy with and without it, Other excluded."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, exercises, expect


@exercises.register("04-relations.1")
class Marked(Exercise):
    """What is marked in a sentence."""

    hints = (
        "Split the text at the marks, or use re.search with round brackets around what you want.",
        'text.split("<e1>")[1].split("</e1>")[0] is what e1 marks.',
    )

    def check(self, answer: object) -> None:
        # One word, two, at the ends.
        why = "Return the text between the marks, without them, e1 first."
        expect(answer, ("The <e1>burst</e1> was caused by <e2>pressure</e2>.",), ("burst", "pressure"), why)
        expect(answer, ("<e1>a steam pipe</e1> in a <e2>wall</e2>",), ("a steam pipe", "wall"), "All of its words.")


@exercises.register("04-relations.2")
class Fact(Exercise):
    """A fact in its direction."""

    hints = (
        'label.split("(")[0] is the relation; check for Other first.',
        'If the label ends with "(e1,e2)", e1 comes first, otherwise e2.',
    )

    def check(self, answer: object) -> None:
        # Both directions and Other.
        expect(answer, ("Cause-Effect(e1,e2)", "fire", "smoke"), ("Cause-Effect", "fire", "smoke"), "Without brackets.")
        why = "(e2,e1): what e2 marks comes first."
        expect(answer, ("Cause-Effect(e2,e1)", "burst", "pressure"), ("Cause-Effect", "pressure", "burst"), why)
        expect(answer, ("Other", "a", "b"), (), "Other is no fact: ().")


@exercises.register("04-relations.3")
class WithAndWithoutDirection(Exercise):
    """Right with the direction, and without it."""

    hints = (
        "Count twice: the equal labels, and the labels that are equal before the bracket.",
        'Compare g.split("(")[0] with p.split("(")[0] for the second share.',
    )

    def check(self, answer: object) -> None:
        # Reversed, right, another relation, Other.
        reversed_label = (["A(e1,e2)", "A(e1,e2)"], ["A(e2,e1)", "A(e1,e2)"])
        expect(answer, reversed_label, (0.5, 1.0), "A reversed label is wrong as a label and right as a relation.")
        other = (["A(e1,e2)", "Other", "Other", "B(e1,e2)"], ["B(e1,e2)", "Other", "A(e1,e2)", "B(e2,e1)"])
        expect(answer, other, (0.25, 0.5), "Divide by all sentences; Other counts here like any label.")


@exercises.register("04-relations.4")
class FactScores(Exercise):
    """Precision and recall of facts."""

    hints = (
        "Three counts: right and not Other, predicted and not Other, true and not Other.",
        "Precision is right / predicted, recall is right / true; 0 if the denominator is 0.",
    )

    def check(self, answer: object) -> None:
        # Other as a true label, as a prediction, as both.
        gold, predicted = ["A(e1,e2)", "A(e1,e2)", "Other", "Other"], ["A(e1,e2)", "Other", "Other", "Other"]
        why = "Was Other counted? It is no fact: it counts neither in the numerator nor in the denominator."
        expect(answer, (gold, predicted), (1.0, 0.5), why)
        expect(
            answer, (predicted, gold), (0.5, 1.0), "Precision divides by the predicted facts, recall by the true ones."
        )
        expect(answer, (["A(e1,e2)"], ["A(e2,e1)"]), (0.0, 0.0), "The whole label has to be right, with its direction.")
        expect(answer, (["Other"], ["Other"]), (0.0, 0.0), "Without facts both are 0.")
