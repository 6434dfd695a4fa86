"""The training corpus: phrasebook, random homes, speech noise, templates and human text."""
