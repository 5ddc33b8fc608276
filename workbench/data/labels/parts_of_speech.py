"""Tags of parts of speech in the sets that corpora use: every word has one, and none means "no entity"."""

from __future__ import annotations

from collections.abc import Mapping

MIN_KNOWN = 4  # different tags of one set
MIN_SHARE = 0.8  # of all tags

# Penn Treebank and its Chinese relative; STTS (German); Universal Dependencies; the People's Daily corpus.
_SETS = (
    """NN NNS NNP NNPS VB VBD VBG VBN VBP VBZ DT IN JJ JJR JJS RB RBR RBS CC CD PRP PRP$ TO MD WDT WP WRB POS EX RP NR
    NT VV VA VC VE AD PN PU DEG DEC AS M P OD LC CS SP . , : `` '' ( ) -LRB- -RRB- $ #""",
    """NN NE ART APPR APPRART VVFIN VVINF VVPP VAFIN VMFIN ADJA ADJD ADV KON KOUS PPER PPOSAT PIAT PIS PTKNEG PTKVZ
    PTKZU PRELS PDS CARD FM XY TRUNC $. $, $(""",
    "NOUN VERB ADJ ADV ADP DET PRON PROPN PUNCT AUX CCONJ SCONJ NUM PART INTJ SYM X CONJ PRT .",
    """n v a d u w m r p c q t f s b k l i j h e y o nr ns nt nz nx vn vd an ad ag ng vg tg z g x""",
)
TAG_SETS = tuple(frozenset(tags.split()) for tags in _SETS)


def are_parts_of_speech(tags: Mapping[str, int]) -> bool:
    """Return whether tags are those of parts of speech.

    Args:
        tags: how often each tag occurs.
    """
    for usual in TAG_SETS:
        known = [tag for tag in tags if tag in usual]
        if len(known) >= MIN_KNOWN and sum(tags[tag] for tag in known) >= MIN_SHARE * sum(tags.values()):
            return True
    return False
