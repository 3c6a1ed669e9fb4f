"""The facial expressions that data sets and classifiers name."""

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "surprised", "disgusted", "contemptuous")
"""RaFD's eight (Langner et al., 2010)."""
