"""The identity-relation audit: do the images of a release lead to the people its generator was trained on?"""
