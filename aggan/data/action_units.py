"""The facial action units (AUs) that may describe an image: those of OpenFace and of GANimation."""

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
"""FACS numbers, in the order of OpenFace's columns `AU01_r ... AU45_r`."""
GREATEST = 5.0
"""The largest intensity: 0 is absent, 1 (A) a trace, 5 (E) the maximum."""
