"""Posing: a head under one variation's expression and camera, aligned in the image."""

from dataclasses import dataclass

import numpy as np

from sface_data.faces.alignment import TEMPLATE, TEMPLATE_SIZE, similarity
from sface_data.rendered import headpack
from sface_data.rendered.geometry import Floats, rotation
from sface_data.rendered.head import Head
from sface_data.rendered.variation import Camera, Variation

_PIVOT = np.array([0, -0.5, -1.1], np.float32)  # the neck, from between the eyes, in decimetres
_NECK_TO_CENTRE = np.array([0, 0.5, 0], np.float32)


@dataclass(frozen=True)
class Posed:
    """A head before the camera."""

    vertices: Floats  # [V,3] decimetres in the camera's axes: x right, y up, z to the camera
    points: Floats  # [V,2] x, y in units of the image's side: 0..1 from edge to edge
    depth: Floats  # [V] decimetres from the camera
    landmarks: Floats  # [5,2] as `points`, in the order of TEMPLATE

    def landmarks_in(self, size: int) -> Floats:
        """The landmarks [5,2] in pixels of an image of that side; the centre of the first is (0, 0)."""
        return self.landmarks * np.float32(size) - np.float32(0.5)


def pose(head: Head, variation: Variation) -> Posed:
    """Turns the head, projects it in perspective and aligns its landmarks with the template."""
    pack = headpack.load()
    vertices = head.vertices.copy()
    for name, amount in variation.expression.items():
        vertices[: len(pack.base)] += np.float32(amount) * headpack.expression(name)
    anchors = np.stack(
        [
            vertices[pack.vertices_of(headpack.RIGHT_EYE)].mean(0),
            vertices[pack.vertices_of(headpack.LEFT_EYE)].mean(0),
            *vertices[pack.landmarks],
        ]
    )
    camera = variation.camera
    pivot = anchors[:2].mean(0) + _PIVOT
    turn = rotation(camera.yaw, camera.pitch, camera.roll).T
    seen = (vertices - pivot) @ turn + _NECK_TO_CENTRE
    flat = _project(seen, camera)
    flat_anchors = _project((anchors - pivot) @ turn + _NECK_TO_CENTRE, camera)
    matrix, shift = similarity(flat_anchors, _target(camera))
    return Posed(
        vertices=seen,
        points=flat @ matrix.T + shift,
        depth=np.float32(camera.distance) - seen[:, 2],
        landmarks=flat_anchors @ matrix.T + shift,
    )


def _project(points: Floats, camera: Camera) -> Floats:
    """Perspective of `points` [N,3]: [N,2], x right, y down, in decimetres at the middle of the head."""
    scale = np.float32(camera.distance) / (np.float32(camera.distance) - points[:, 2])
    return points[:, :2] * scale[:, None] * np.array([1, -1], np.float32)


def _target(camera: Camera) -> Floats:
    """Where the landmarks shall be [5,2], in units of the image's side."""
    template = (TEMPLATE + 0.5) / TEMPLATE_SIZE
    return (template - 0.5) * np.float32(camera.zoom) + 0.5 + camera.shift / TEMPLATE_SIZE
