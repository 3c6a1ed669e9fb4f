"""What a run has learned from: hashes of its images. The checkpoint keeps them, so a resumed run knows them again.

The hashes are of what the training sees: the decoded pixels, the codes and the masks. Where the files lie is no part.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from aggan.data.cache import DecodedDomain
from aggan.data.datasets import Dataset, MaskedDataset
from aggan.io import normalized

Hashes = Int64[Tensor, "_n 2"]
"""Of each image of a domain in order: the hash of its name below the domain's folder, and that of its content."""
Fingerprint = dict[str, Hashes]
"""By domain."""


def fingerprint(dataset: Dataset) -> Fingerprint:
    """The hashes of all images of a data set."""
    masks = dataset.masks if isinstance(dataset, MaskedDataset) else [None] * len(dataset.domains)
    return {domain.name: _hashes(domain, mask) for domain, mask in zip(dataset.domains, masks, strict=True)}


def _hashes(domain: DecodedDomain, masks: UInt8[np.ndarray, "_n h w"] | None) -> Hashes:
    rows = []
    for index, file in enumerate(domain.files):
        name = os.fsencode(normalized(os.path.relpath(file, domain.folder)))
        content = (part[index] for part in (domain.pixels, domain.codes, masks) if part is not None)
        rows.append((_hash([name]), _hash(np.ascontiguousarray(part).data for part in content)))
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)


def _hash(parts: Iterable[bytes | memoryview]) -> int:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return int.from_bytes(digest.digest()[:8], "big", signed=True)


def differences(past: Mapping[str, Hashes], present: Mapping[str, Hashes]) -> Iterator[str]:
    """What is different in each domain, in words; nothing if the same images come in the same order."""
    for domain, hashes in present.items():
        if domain in past and not torch.equal(past[domain], hashes):
            before, now = (dict(map(tuple, rows.tolist())) for rows in (past[domain], hashes))
            counts = {
                "more": len(now.keys() - before.keys()),
                "fewer": len(before.keys() - now.keys()),
                "changed": sum(now[name] != before[name] for name in now.keys() & before.keys()),
            }
            words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            yield f"{domain}: {words or 'another order'}"
