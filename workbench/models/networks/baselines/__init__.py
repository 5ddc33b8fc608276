"""Baselines: models of text from before the Transformer, trained by runs like any other model, to compare with.

    bag_of_embeddings   the mean of the word vectors, through a few layers           Iyyer et al. 2015
    textcnn             filters that look for a telling phrase                       Kim 2014
    recurrent           LSTM and GRU, one or two directions, optionally attention    Hochreiter 1997, Cho 2014
    heads               what a task adds on top, and the Auto classes that find it
    common              configuration, weight initialization, padding

A spec names them as ``bag-of-embeddings``, ``textcnn``, ``lstm`` and ``gru``: see
:mod:`workbench.models.sources.baselines`.
"""
