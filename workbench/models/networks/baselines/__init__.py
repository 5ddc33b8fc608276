"""Baselines: what models of text were before the Transformer. They are runs like any other, to compare with.

    bag_of_embeddings   the mean of the words' vectors, through a few layers       Iyyer et al. 2015
    textcnn             filters that look for a telling phrase                     Kim 2014
    recurrent           LSTM and GRU, one direction or two, with attention or not  Hochreiter 1997, Cho 2014
    heads               what sits on them, and the Auto classes that find it
    common              configuration, first weights, padding

A spec names them as ``bag-of-embeddings``, ``textcnn``, ``lstm`` and ``gru``: see
:mod:`workbench.models.sources.baselines`.
"""
