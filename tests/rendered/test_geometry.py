import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sface_data.faces.alignment import similarity
from sface_data.rendered.geometry import incidence, rotation, vertex_normals

ANGLES = st.floats(-180, 180)


def test_turning_left_looks_to_the_heads_left_and_nodding_looks_down() -> None:
    ahead = np.array([0, 0, 1], np.float32)
    np.testing.assert_allclose(rotation(90, 0, 0) @ ahead, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(rotation(0, 90, 0) @ ahead, [0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(rotation(0, 0, 90) @ [1, 0, 0], [0, 1, 0], atol=1e-6)


@given(ANGLES, ANGLES, ANGLES)
def test_a_rotation_keeps_lengths_and_handedness(yaw: float, pitch: float, roll: float) -> None:
    turn = rotation(yaw, pitch, roll)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(turn) > 0.999


@given(ANGLES, st.floats(0.2, 5), st.floats(-9, 9), st.floats(-9, 9))
def test_similarity_finds_the_transform_that_was_applied(
    angle: float, scale: float, right: float, down: float
) -> None:
    points = np.array([[0, 0], [3, 0], [1, 2], [0, 5], [4, 4]], np.float32)
    cos, sin = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    applied = np.array([[cos, -sin], [sin, cos]])
    matrix, shift = similarity(points, (points @ applied.T + [right, down]).astype(np.float32))
    np.testing.assert_allclose(matrix, applied, atol=1e-4)
    np.testing.assert_allclose(shift, [right, down], atol=1e-3)


def test_normals_of_an_octahedron_point_away_from_its_middle_across_a_seam() -> None:
    corners = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32)
    around = [(0, 2), (2, 1), (1, 3), (3, 0)]
    triangles = [(a, b, 4) for a, b in around] + [(b, a, 5) for a, b in around]
    triangles[0] = (6, 2, 4)  # vertex 6 is vertex 0 again, as on a seam of the texture
    vertices = np.concatenate([corners, corners[:1]])
    weld = np.array([0, 1, 2, 3, 4, 5, 0], np.int32)
    faces = np.array(triangles, np.int32)
    normals = vertex_normals(vertices, faces, incidence(faces, weld))
    np.testing.assert_allclose(normals, vertices, atol=1e-6)
