"""`python -m sface_data`, which torchrun can start."""

from sface_data.cli import main

main()
