"""`sface-data recognition`."""

import click

from sface_data.cli.recognition_eval import evaluate
from sface_data.cli.recognition_export import export
from sface_data.cli.recognition_train import train


@click.group(short_help="Train, evaluate or export face recognition")
def recognition() -> None:
    """Face recognition: train a network on generated faces, measure it, and take it elsewhere."""


for command in (train, evaluate, export):
    recognition.add_command(command)
