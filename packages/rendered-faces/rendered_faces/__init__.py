"""Renders faces of people who do not exist, in the layouts of four facial expression data sets."""
