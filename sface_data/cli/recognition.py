"""`sface-data recognition`."""

import click

from sface_data.cli.recognition_export import export
from sface_data.cli.recognition_train import train


@click.group()
def recognition() -> None:
    """Face recognition: train a network on generated faces, and take it elsewhere."""


for command in (train, export):
    recognition.add_command(command)
