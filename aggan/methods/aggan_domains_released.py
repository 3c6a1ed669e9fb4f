"""AGGAN for many domains as its authors released it: StarGAN, whose generator has an attention mask (Eq. 1).

Its losses are StarGAN's. Nothing of AGGAN's attention-guided discriminators, curriculum, pixel or attention loss is in
it. `aggan-domains` is what the paper describes.
"""

from typing import ClassVar, Literal

from torch import nn

from aggan.methods import stargan
from aggan.methods.base import About, Task, require_multiple_of_64
from aggan.nn.generators import STARGAN, AttentionGenerator, stargan_trunk


class Config(stargan.StarGANConfig):
    """StarGAN's settings."""

    method: Literal["aggan-domains-released"] = "aggan-domains-released"
    about: ClassVar[About] = About("AGGAN, many domains, as released", "Tang, Xu, Sebe, Yan; IJCNN 2019")

    def build_generator(self, code_length: int) -> AttentionGenerator:
        trunk = stargan_trunk(self.generator_width, self.generator_blocks)
        return AttentionGenerator(trunk, STARGAN, nn.Identity(), code_length)

    def build(self, task: Task) -> stargan.StarGAN:
        require_multiple_of_64(task, "aggan-domains-released")
        return stargan.StarGAN(self, task)
