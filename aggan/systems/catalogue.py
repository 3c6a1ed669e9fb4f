"""Every system by its name. An ablation is an entry here, not a branch in the code."""

from aggan.systems import aggan

AnyConfig = aggan.Config
"""The settings of any system here."""

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
"""The networks and losses that the authors released: "Full - AD" in other layers."""

CATALOGUE: dict[str, AnyConfig] = {
    "aggan": aggan.Config(),
    # Table II. AD: attention-guided discriminators, AG: generators, PL: pixel loss, AL: attention loss.
    "aggan-no-ad": aggan.Config(attention_guided_discriminators=False),
    "aggan-no-ad-ag": aggan.Config(attention_guided_discriminators=False, attention_guided_generators=False),
    "aggan-no-ad-pl": aggan.Config(attention_guided_discriminators=False, lambda_pixel=0),
    "aggan-no-ad-al": aggan.Config(attention_guided_discriminators=False, lambda_tv=0),
    "aggan-no-ad-pl-al": aggan.Config(attention_guided_discriminators=False, lambda_pixel=0, lambda_tv=0),
    "aggan-released": RELEASED,
}
