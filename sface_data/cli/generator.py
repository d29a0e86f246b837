"""`sface-data generator`."""

import json
from pathlib import Path

import click

from sface_data.cli.options import NamedPath


@click.group()
def generator() -> None:
    """Generators: what a file holds, and how to convert it."""


@generator.command()
@click.argument("source", metavar="IN.pkl", type=NamedPath(path_type=Path))
@click.argument("target", metavar="OUT.safetensors", type=NamedPath(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace OUT.safetensors if it exists.")
def convert(source: Path, target: Path, overwrite: bool) -> None:
    """Convert a published StyleGAN2-ADA snapshot into a file that cannot execute anything.

    The averaged generator (G_ema) is kept, with its configuration in the metadata. Images and the digest of
    the generator stay the same.

    \b
    Example:
      sface-data generator convert network-snapshot.pkl network.safetensors
    """
    from sface_data.errors import BadInput
    from sface_data.generator.checkpoint import load_generator, save_generator

    if target.suffix != ".safetensors":
        raise BadInput(f"{target}: the name of the new file must end in .safetensors")
    if target.exists() and not overwrite:
        raise BadInput(f"{target}: exists; choose another name, or replace it with --overwrite")
    file = load_generator(source)
    save_generator(file.generator, target)
    click.echo(f"{target}: written, generator {file.generator_sha256[:12]}", err=True)


@generator.command()
@click.argument("file", metavar="FILE", type=NamedPath(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def info(file: Path, as_json: bool) -> None:
    """Say what a file of a generator holds, without executing anything in it.

    \b
    Example:
      sface-data generator info network.safetensors
    """
    from sface_data.generator.checkpoint import load_generator

    loaded = load_generator(file)
    config = loaded.generator.config
    rows = {
        "resolution": config.img_resolution,
        "classes": config.c_dim,
        "parameters": sum(parameter.numel() for parameter in loaded.generator.parameters()),
        "z_dim": config.z_dim,
        "w_dim": config.w_dim,
        "mapping_layers": config.mapping_layers,
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "conv_clamp": config.conv_clamp,
        "layout": loaded.layout,
        "generator_sha256": loaded.generator_sha256,
        "file_sha256": loaded.file_sha256,
    }
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for name, value in rows.items():
        shown = f"{value:,}" if name in ("classes", "parameters") else "none" if value is None else str(value)
        click.echo(f"{name.replace('_', ' '):18} {shown}")
