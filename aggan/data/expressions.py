"""The facial expressions that data sets and classifiers name."""

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "surprised", "disgusted", "contemptuous")
"""The eight expressions of RaFD (Langner et al., 2010)."""
