"""Faces of nobody: drawn from a CC0 head mesh and random numbers, so that no person's data is in them.

`headpack` loads the mesh, `identity` and `variation` draw who and how, `head` bakes what all images of one
identity share, `render` makes one image with its five landmarks, `folder` fills a folder with many.
"""
