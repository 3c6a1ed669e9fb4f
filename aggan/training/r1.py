"""The R1 penalty on discriminators (Mescheder et al., 2018), which keeps them smooth around real images.

It is applied in every 16th step, with 16 times its weight (Karras et al., 2020): so often is enough, and costs little.
"""

from dataclasses import replace
from typing import Final

from aggan.errors import UserError
from aggan.losses import r1_penalty
from aggan.methods.base import Batch, LossTerms, Method, Outputs, Update, every, nothing
from aggan.nn.discriminators import Discriminator

INTERVAL: Final = 16


def r1_update(method: Method[Batch, Outputs], weight: float) -> Update[Batch, Outputs]:
    """The update of a method's discriminators on weight / 2 * E[||grad D(x)||^2].

    Raises `UserError` if the method's discriminators have no real inputs that could be penalised.
    """
    update = next((update for update in method.updates() if update.real_inputs), None)
    if update is None or update.real_inputs is None:
        raise UserError("--training.r1: this method has no such penalty, as its discriminators are bounded otherwise")
    real_inputs = update.real_inputs

    def loss(batch: Batch, outputs: Outputs) -> LossTerms:
        terms: LossTerms = {}
        for name, inputs in real_inputs(batch, outputs).items():
            discriminator = method.get_submodule(name)
            assert isinstance(discriminator, Discriminator)
            terms[f"{name} R1"] = INTERVAL * weight / 2 * r1_penalty(discriminator.scores, inputs)
        return terms

    return replace(update, name=f"{update.name} R1", loss=loss, when=every(INTERVAL), after=nothing)
