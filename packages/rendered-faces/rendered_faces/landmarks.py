"""The 68 landmarks of iBUG's 300-W (Sagonas et al., "300 faces in-the-wild challenge", 2016) as vertices of the head.

The vertices were chosen once on the average head: the outline seen from the front, the rims of lids and lips, the
drawn brow. They move with the skin, so a landmark that is turned away is still known. Left and right are those of
the image.
"""

from __future__ import annotations

import numpy as np

JAW = (5188, 5183, 5238, 911, 5240, 915, 891, 993, 5225, 7687, 7593, 7617, 11849, 7613, 11847, 11795, 11800)
LEFT_BROW, RIGHT_BROW = (225, 224, 204, 205, 208), (6983, 6980, 6979, 6998, 6999)
NOSE = (136, 131, 201, 5054, 358, 359, 343, 7120, 7119)
LEFT_LIDS, RIGHT_LIDS = (1062, 0, 6763, 1077, 1070, 6776), (7769, 13359, 6784, 7754, 13372, 7762)
OUTER_LIPS = (3735, 5354, 450, 455, 7210, 11956, 10403, 7235, 7241, 492, 486, 480)
INNER_LIPS = (431, 514, 520, 7261, 7191, 7279, 523, 534)
LANDMARKS = np.array(JAW + LEFT_BROW + RIGHT_BROW + NOSE + LEFT_LIDS + RIGHT_LIDS + OUTER_LIPS + INNER_LIPS)
"""Vertex of each landmark, (68,)."""
