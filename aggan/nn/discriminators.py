"""Networks that tell real images from generated ones.

    n, h, w    images in a batch, height and width in pixels
    c          channels: 3, more where the discriminator also sees a mask or a second image
    m          length of a code

Scores are unbounded: logits, or targets of least squares. They are in float32 also under autocast.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aggan.nn.diffaug import AdaptiveDiffAug, DiffAug
from aggan.nn.init import init_kaiming
from aggan.nn.layer_spec import Style, build_layers
from aggan.types import Code, Image, Mask

Scores = Float[Tensor, "n 1 patches_h patches_w"]
"""One score for each patch of an image; (n, 1, 1, 1) where there is one for the image."""


class Discriminator(nn.Module):
    """The base of all: `forward` scores what `augment` returns."""

    def __init__(self) -> None:
        super().__init__()
        self.augment: DiffAug = DiffAug()

    def scores(self, image: Float[Tensor, "n c h w"]) -> Scores:
        """The scores alone, where `forward` returns more."""
        return self(image)


def augment_discriminators(networks: nn.Module, p: float, target: float | None = None) -> None:
    """From now on, every discriminator among the networks sees its inputs augmented with probability p.

    With a `target`, each probability adapts (`AdaptiveDiffAug`).
    """
    for network in [module for module in networks.modules() if isinstance(module, Discriminator)]:
        network.augment = DiffAug(p) if target is None else AdaptiveDiffAug(p, target)


def adaptive_probabilities(networks: nn.Module) -> dict[str, float]:
    """The probabilities of adaptive augmentation, by the names of the discriminators."""
    return {
        name: network.augment.probability
        for name, network in networks.named_modules()
        if isinstance(network, Discriminator) and isinstance(network.augment, AdaptiveDiffAug)
    }


def concat_mask(mask: Mask, image: Image) -> Float[Tensor, "n 4 h w"]:
    """[M, G]: the input of an attention-guided discriminator."""
    return torch.cat((mask, image), dim=1)


def discriminate(
    discriminator: Discriminator, real: Float[Tensor, "n_real c h w"], fake: Float[Tensor, "n_fake c h w"]
) -> tuple[Float[Tensor, "n_real 1 ph pw"], Float[Tensor, "n_fake 1 ph pw"]]:
    """The scores of real and of fake images.

    One forward pass for both is faster. With batch norm there are two, because its statistics would mix them. An
    adaptive augmentation learns how real the real ones look.
    """
    if any(isinstance(part, nn.BatchNorm2d) for part in discriminator.modules()):
        real_scores, fake_scores = discriminator(real), discriminator(fake)
    else:
        real_scores, fake_scores = discriminator(torch.cat((real, fake))).split((len(real), len(fake)))
    discriminator.augment.observe(real_scores)
    return real_scores, fake_scores


def paper_tower(width: int) -> str:
    """AGGAN's layers (Sec. III-D): a norm in the first layer, none in the last; `C64 C128 C256 C512 C512s1+`."""
    return f"C{width} C{2 * width} C{4 * width} C{8 * width} C{8 * width}s1+"


def patch_tower(width: int, halvings: int = 3) -> str:
    """The layers of PatchGAN (Isola et al., 2017): `C64+ C128 C256 C512s1` for width 64.

    The receptive field is 34x34 pixels with two halvings, 70x70 with three, and 142x142 with four.
    """
    middle = " ".join(f"C{min(2**k, 8) * width}" for k in range(1, halvings))
    return f"C{width}+ {middle} C{min(2**halvings, 8) * width}s1"


class PooledDiscriminator(Discriminator):
    """AGGAN's: convolutions, global average pooling, one score for each image."""

    def __init__(self, channels: int, width: int, style: Style) -> None:
        super().__init__()
        self.tower, filters = build_layers(paper_tower(width), channels, style)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Conv2d(filters, 1, 1)

    def forward(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 1 1"]:
        return self.head(self.pool(self.tower(self.augment(image)))).float()


class ConvDiscriminator(Discriminator):
    """A tower of convolutions, and a head that scores overlapping patches."""

    def __init__(self, channels: int, tower: str, style: Style, head: nn.Conv2d) -> None:
        """`head` is the last convolution: from the filters of the tower's last layer to one score."""
        super().__init__()
        self.tower, _ = build_layers(tower, channels, style)
        self.head = head

    def forward(self, image: Float[Tensor, "n c h w"]) -> Scores:
        return self.head(self.tower(self.augment(image))).float()

    def with_features(self, image: Float[Tensor, "n c h w"]) -> tuple[Scores, list[Float[Tensor, "n _ _ _"]]]:
        """The scores of an image that is not augmented here, and the output of each layer of the tower."""
        features: list[Tensor] = []
        x = image
        for layer in self.tower:
            x = layer(x)
            features.append(x)
        return self.head(x).float(), features


class PatchDiscriminator(ConvDiscriminator):
    """PatchGAN (Isola et al., 2017) of 34x34, 70x70 or 142x142 pixels with two, three or four halvings."""

    def __init__(self, channels: int, width: int, style: Style, halvings: int = 3) -> None:
        head = nn.Conv2d(min(2**halvings, 8) * width, 1, 4, padding=style.padding)
        super().__init__(channels, patch_tower(width, halvings), style, head)


class DomainDiscriminator(Discriminator):
    """StarGAN's: scores of patches, and a code of the whole image (Choi et al., 2018)."""

    SLOPE = 0.01
    """Negative slope of the leaky ReLUs."""

    def __init__(self, size: int, code_length: int, width: int = 64, channels: int = 3, scores: int = 1) -> None:
        """`size` is the side of the images in pixels, a multiple of 64: the classifier covers the last feature map.

        With `scores` equal to `code_length` a patch has one score for each domain.
        """
        super().__init__()
        tower = " ".join(f"C{width * 2**k}+" for k in range(6))
        self.tower, filters = build_layers(tower, channels, Style(slope=self.SLOPE))
        self.head = nn.Conv2d(filters, scores, 3, padding=1, bias=False)
        self.classifier = nn.Conv2d(filters, code_length, size // 64, bias=False)

    def init_weights(self) -> None:
        """Initial weights that a narrow discriminator can learn from (docs/decisions/0007)."""
        init_kaiming(self, self.SLOPE)

    def forward(
        self, image: Float[Tensor, "n c h w"], code: Code | None = None
    ) -> tuple[Float[Tensor, "n scores patches_h patches_w"], Code]:
        """Scores (n, 1, h / 64, w / 64) and codes (n, m): logits of domains, or action units.

        With several scores for a patch, a one-hot code chooses one for each image.
        """
        features = self.tower(self.augment(image))
        scores = self.head(features).float()
        if scores.shape[1] > 1 and code is not None:
            scores = (scores * code[:, :, None, None]).sum(1, keepdim=True)
        return scores, self.classifier(features).flatten(1).float()

    def scores(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n scores patches_h patches_w"]:
        return self(image)[0]

    def compare(
        self,
        real: Float[Tensor, "n_real c h w"],
        fake: Float[Tensor, "n_fake c h w"],
        codes: Float[Tensor, "n_real_plus_n_fake m"] | None = None,
    ) -> tuple[Float[Tensor, "n_real 1 ph pw"], Float[Tensor, "n_fake 1 ph pw"], Float[Tensor, "n_real m"]]:
        """The scores of real and of fake images, and the codes of the real ones, in one forward pass.

        `codes` choose among several scores.
        """
        scores, predicted = self(torch.cat((real, fake)), codes)
        return scores[: len(real)], scores[len(real) :], predicted[: len(real)]
