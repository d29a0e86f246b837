"""Face recognition: networks that embed faces, and training them on generated ones."""
