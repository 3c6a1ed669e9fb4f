"""A perceptual study: participants choose which of two images is real."""
