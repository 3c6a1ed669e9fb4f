"""Settings of a sorting. The same photographs and settings give the same set. No torch is needed here."""

from dataclasses import dataclass

from aggan.errors import UserError

SMILING, NEUTRAL = "smiling", "neutral"


@dataclass(frozen=True)
class SortSettings:
    """How photographs are cropped, left out, balanced and split. All defaults are our choice."""

    size: int = 128
    """Side of the crops in pixels."""
    margin: float = 0.1
    """Room around a face on each side, as a share of the tightest crop's side. 0 cuts chins."""
    smiling: float = 0.85
    """Least probability of a smile in the domain smiling."""
    neutral: float = 0.2
    """Largest probability of a smile in the domain neutral."""
    min_pixels: float = 0.75
    """Least side of a crop in the photograph, as a share of --size."""
    min_confidence: float = 0.2
    """Least confidence of the face detector; clear frontal faces have 1 and more."""
    max_turn: float = 0.15
    """Largest distance of the nose from the middle of the eyes, sideways, as a share of the eyes' distance."""
    min_sharpness: float = 0.6
    """Least ratio of finest to coarser detail in a face; sharp photographs have about 1, blurred ones below 0.5."""
    same_person: float = 0.28
    """Identity vectors that are closer belong to one person. Larger values find more photographs of one person, and
    mistake more people for one."""
    balance: float = 0.1
    """Largest difference of the domains that remains in any feature, in standard deviations, if chance is not larger.
    inf leaves it out."""
    keep: float = 0.5
    """What each domain keeps when domains are balanced, as a share of the smallest domain's images."""
    test_share: float = 0.1
    """Share of the people of each domain in the test split."""
    seed: int = 0
    """Chooses the people of the test split."""

    def __post_init__(self) -> None:
        """Raise `UserError` if a value is out of its range."""
        if not 16 <= self.size <= 1024:
            raise UserError(f"--size must be from 16 to 1024 pixels, not {self.size}")
        if not 0 <= self.neutral < self.smiling <= 1:
            raise UserError(
                f"--neutral {self.neutral:g} and --smiling {self.smiling:g} must be probabilities, --neutral the "
                "smaller one"
            )
        for option in ("keep", "test_share"):
            if not 0 <= getattr(self, option) < 1:
                raise UserError(f"--{option.replace('_', '-')} must be from 0 to below 1, not {getattr(self, option)}")
        for option in ("margin", "min_pixels", "max_turn", "min_sharpness", "same_person", "balance"):
            if not getattr(self, option) >= 0:
                raise UserError(f"--{option.replace('_', '-')} must not be negative, as {getattr(self, option)} is")
