"""The forms in which trainers take labelled faces, written."""
