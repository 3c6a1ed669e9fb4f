"""`aggan import --generator-xy FILE --generator-yx FILE --domains X Y --out DIR`: the released code's weights."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from aggan.errors import UserError


@dataclass
class Import:
    """Make a model of the two generators that the AGGAN authors' code (v1) saved."""

    generator_xy: Path
    """State dict of the generator from X to Y, from torch.save (.pth) or as safetensors."""
    generator_yx: Path
    """State dict of the generator from Y to X."""
    out: Path
    """Model folder to write."""
    domains: tuple[str, str] = ("x", "y")
    """Names of the domains X and Y."""
    size: int = 256
    """Side of the training images in pixels."""


def main(argv: list[str]) -> int:
    """Run the verb and return its exit code."""
    args = tyro.cli(Import, args=argv, prog="aggan import")
    from aggan.methods.pretrained import ModelCard, read_state, save_model
    from aggan.methods.registry import RELEASED
    from aggan.methods.released import load_generator

    card = ModelCard(method=RELEASED, domains=args.domains, size=args.size)
    try:
        method = card.build()
    except UserError as error:  # methods name the options of `aggan train`
        raise UserError(str(error).replace("--data.size", "--size")) from error
    for name, file in (("G_xy", args.generator_xy), ("G_yx", args.generator_yx)):
        load_generator(method.get_submodule(name), read_state(file), str(file))
    save_model(args.out, card, method.inference_state_dict())
    print(f"Imported. Translate with: aggan translate {args.out} IMAGES --to {args.domains[1]} --out DIR")
    return 0
