"""`aggan import --there FILE --back FILE --domains X Y --out DIR`: the released code's weights as a model."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from aggan.errors import UserError


@dataclass
class Import:
    """Make a model of the two generators that the AGGAN authors' code (v1) saved."""

    there: Path
    """State dict of the generator X -> Y, as torch.save wrote it (.pth) or as safetensors."""
    back: Path
    """State dict of the generator Y -> X."""
    out: Path
    """Model folder to write."""
    domains: tuple[str, str] = ("x", "y")
    """Names of the domains X and Y."""
    size: int = 256
    """Side in pixels of the pictures that they were trained on."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Import, args=arguments, prog="aggan import")
    from aggan.methods.pretrained import ModelCard, read_state, save_model
    from aggan.methods.registry import RELEASED
    from aggan.methods.released import load_generator

    card = ModelCard(system=RELEASED, domains=asked.domains, size=asked.size)
    try:
        system = card.build()
    except UserError as why:  # the systems speak to `aggan train`
        raise UserError(str(why).replace("--data.size", "--size")) from why
    for name, file in (("G_xy", asked.there), ("G_yx", asked.back)):
        load_generator(system.get_submodule(name), read_state(file), str(file))
    save_model(asked.out, card, system.translators_state())
    print(f"Imported. Translate with: aggan translate {asked.out} PICTURES --to {asked.domains[1]} --out DIR")
    return 0
