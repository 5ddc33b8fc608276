"""Typical wrong answers of lesson 07, and words of the message that each must earn."""

WRONG = [
    ("07-small.1", "return 4 * (total + trainable) / 1_000_000", "two means of AdamW"),
    ("07-small.1", "return 16 * total / 1_000_000", "A frozen weight costs its own 4 bytes"),
    ("07-small.2", "return sum(rank * d_in * d_out for d_in, d_out in matrices)", "two thin matrices"),
    ("07-small.2", "d_in, d_out = matrices[0]\nreturn rank * (d_in + d_out)", "Add up over all the matrices"),
    (
        "07-small.3",
        "return [one['name'] for one in sorted(candidates, key=lambda one: -one['accuracy'])"
        " if one['megabytes'] < budget]",
        "at most, not less",
    ),
    (
        "07-small.3",
        "return [one['name'] for one in sorted(candidates, key=lambda one: one['accuracy'])"
        " if one['megabytes'] <= budget]",
        "the most accurate first",
    ),
    (
        "07-small.4",
        "return one['megabytes'] < other['megabytes'] and one['accuracy'] > other['accuracy']",
        "better in one and equal in the other",
    ),
    (
        "07-small.4",
        "return one['megabytes'] <= other['megabytes'] and one['accuracy'] >= other['accuracy']",
        "Equal in both",
    ),
    ("07-small.5", "return low >= margin", "It loses 0.02 at worst"),
    ("07-small.5", "return low > -margin", "Exactly the margin"),
    ("07-small.5", "return abs(low) <= margin", "only a loss can be too large"),
    ("07-small.6", "step = max(weights) / 127\nreturn [round(w / step) for w in weights], step", "without its sign"),
    ("07-small.6", "step = max(map(abs, weights)) / 127\nreturn [int(w / step) for w in weights], step", "not int"),
    (
        "07-small.6",
        "import numpy as np\nstep = max(map(abs, weights)) / 127\nreturn step, np.round(np.array(weights) / step)",
        "should return ([127, -50, 0], 0.01)",
    ),
]
