"""All methods by name. An ablation is an entry here, not a branch in the code."""

from typing import Annotated

from pydantic import Field

from aggan.methods import (
    aggan,
    aggan_domains,
    aggan_domains_released,
    bicyclegan,
    combogan,
    contrastgan,
    cyclegan,
    diat,
    discogan,
    distancegan,
    dualgan,
    ganimation,
    icgan,
    pix2pix,
    stargan,
)

AnyMethodConfig = Annotated[
    aggan.Config
    | aggan_domains.Config
    | aggan_domains_released.Config
    | bicyclegan.Config
    | combogan.Config
    | contrastgan.Config
    | cyclegan.Config
    | diat.Config
    | discogan.Config
    | distancegan.Config
    | dualgan.Config
    | ganimation.Config
    | icgan.Config
    | pix2pix.Config
    | stargan.Config,
    Field(discriminator="method"),
]
"""The settings of any method."""

RELEASED = aggan.Config(
    attention_guided_discriminators=False,
    generator_norm="batch",
    upsampling="pixelshuffle",
    content="linear",
    discriminator_norm="batch",
    discriminator_slope=0.01,
    discriminator_padding=0,
    lambda_tv=3e-6,  # its sum runs over the mask's three equal channels
)
"""The networks and losses that the authors released: "Full - AD" with other layers."""

METHODS: dict[str, AnyMethodConfig] = {
    "aggan": aggan.Config(),
    # Table II. AD: attention-guided discriminators, AG: generators, PL: pixel loss, AL: attention loss.
    "aggan-no-ad": aggan.Config(attention_guided_discriminators=False),
    "aggan-no-ad-ag": aggan.Config(attention_guided_discriminators=False, attention_guided_generators=False),
    "aggan-no-ad-pl": aggan.Config(attention_guided_discriminators=False, lambda_pixel=0),
    "aggan-no-ad-al": aggan.Config(attention_guided_discriminators=False, lambda_tv=0),
    "aggan-no-ad-pl-al": aggan.Config(attention_guided_discriminators=False, lambda_pixel=0, lambda_tv=0),
    "aggan-released": RELEASED,
    # Many domains, Sec. IV-B; as released it is StarGAN whose generator has an attention mask.
    "aggan-domains": aggan_domains.Config(),
    "aggan-domains-released": aggan_domains_released.Config(),
    # Table I.
    "cyclegan": cyclegan.Config(),
    "dualgan": dualgan.Config(),
    "discogan": discogan.Config(),
    "distancegan": distancegan.Config(),
    "distance-cycle": distancegan.Config(lambda_cycle=10),
    "self-distance": distancegan.Config(distance="within"),
    "combogan": combogan.Config(),
    "stargan": stargan.Config(),
    "contrastgan": contrastgan.Config(),
    "diat": diat.Config(),
    "icgan": icgan.Config(),
    "ganimation": ganimation.Config(),
    "pix2pix": pix2pix.Config(),
    "encoder-decoder": pix2pix.Config(skips=False),
    "bicyclegan": bicyclegan.Config(),
}

TABLE_II = ("aggan", *(name for name in METHODS if name.startswith("aggan-no-")))
"""The full method, then its ablations."""
