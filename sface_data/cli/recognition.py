"""`sface-data recognition`: face recognition on generated faces."""

import click

from sface_data.cli.recognition_eval import evaluate


@click.group()
def recognition() -> None:
    """Face recognition: train a network, measure it, export it."""


recognition.add_command(evaluate)
