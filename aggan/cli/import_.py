"""`aggan import`: models from the weights that the AGGAN authors' code saved.

aggan import --generator-xy FILE --generator-yx FILE --domains X Y --out DIR
aggan import --generator FILE --domains A B C --out DIR
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from aggan.errors import UserError


@dataclass
class Import:
    """Make a model of the generators that the AGGAN authors' code saved: two of v1, or the one for many domains."""

    out: Path
    """Model folder to write."""
    generator_xy: Path | None = None
    """State dict of the generator from X to Y, from torch.save (.pth) or as safetensors."""
    generator_yx: Path | None = None
    """State dict of the generator from Y to X."""
    generator: Path | None = None
    """State dict of the generator for many domains, instead of the two."""
    domains: tuple[str, ...] = ("x", "y")
    """Names of X and Y; with --generator those of all its domains, in the order of its codes (RaFD: alphabetical)."""
    size: int | None = None
    """Side of the training images in pixels; by default 256, with --generator 128."""


def main(argv: list[str]) -> int:
    """Run the verb and return its exit code."""
    args = tyro.cli(Import, args=argv, prog="aggan import")
    options = {"G_xy": args.generator_xy, "G_yx": args.generator_yx, "G": args.generator}
    files = {network: file for network, file in options.items() if file is not None}
    if set(files) not in ({"G_xy", "G_yx"}, {"G"}):
        raise UserError("give --generator-xy and --generator-yx, or --generator alone for many domains")
    if len(set(args.domains)) < len(args.domains):
        raise UserError(f"two domains have the same name: --domains {' '.join(args.domains)}")
    from aggan.methods.pretrained import ModelCard, read_state, save_model
    from aggan.methods.registry import METHODS
    from aggan.methods.released import load_domain_generator, load_generator

    if args.generator:
        name, size, load = "aggan-domains-released", 128, load_domain_generator
    else:
        name, size, load = "aggan-released", 256, load_generator
    card = ModelCard(method=METHODS[name], domains=args.domains, size=size if args.size is None else args.size)
    try:
        method = card.build()
    except UserError as error:  # methods name the options of `aggan train`
        message = str(error).replace("--data.size", "--size").replace("--data.names", "--domains")
        raise UserError(message) from error
    for network, file in files.items():
        load(method.get_submodule(network), read_state(file), str(file))
    save_model(args.out, card, method.inference_state_dict())
    print(f"Imported. Translate with: aggan translate {args.out} IMAGES --to {args.domains[-1]} --out DIR")
    return 0
