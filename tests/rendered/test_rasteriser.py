import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sface_data.rendered.rasteriser import rasterise

# A square of 4 x 4 pixels from (1, 1) to (5, 5), anticlockwise to the eye.
SQUARE = np.array([[1, 1], [1, 5], [5, 5], [5, 1]], np.float32)
TWO = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def flat(depth: float) -> np.ndarray:
    return np.full(4, depth, np.float32)


def test_a_square_covers_the_pixels_whose_centres_it_holds_once() -> None:
    fragments = rasterise(SQUARE, flat(1), TWO, 8)
    rows, columns = np.divmod(fragments.pixel, 8)
    assert sorted(zip(rows, columns, strict=True)) == [
        (row, column) for row in range(1, 5) for column in range(1, 5)
    ]


def test_back_faces_are_not_drawn() -> None:
    assert len(rasterise(SQUARE, flat(1), TWO[:, ::-1], 8).pixel) == 0


def test_the_nearer_of_two_squares_is_seen_whatever_their_order() -> None:
    points = np.concatenate([SQUARE, SQUARE + 2])
    depth = np.concatenate([flat(2), flat(1)])
    for triangles in (np.concatenate([TWO, TWO + 4]), np.concatenate([TWO + 4, TWO])):
        fragments = rasterise(points, depth, triangles, 8)
        near = triangles[fragments.triangle].min(1) >= 4
        assert near.sum() == 16  # all of the near one
        assert (~near).sum() == 12  # what it does not hide of the other
        np.testing.assert_array_equal(fragments.depth[near], 1)


def test_what_lies_outside_the_image_is_cut_off() -> None:
    fragments = rasterise(SQUARE - 3, flat(1), TWO, 8)
    assert sorted(fragments.pixel.tolist()) == [0, 1, 8, 9]


@given(st.lists(st.floats(-20, 30, width=32), min_size=6, max_size=6), st.floats(-2, 2), st.floats(-2, 2))
def test_interpolation_is_exact_for_linear_functions(corners: list[float], a: float, b: float) -> None:
    points = np.array(corners, np.float32).reshape(3, 2)
    triangle = np.array([[0, 1, 2], [2, 1, 0]], np.int32)
    fragments = rasterise(points, np.ones(3, np.float32), triangle, 16)
    at_corners = (points @ np.array([[a], [b]])).astype(np.float32)
    values = fragments.interpolate(triangle, at_corners)[:, 0]
    assert (values >= at_corners.min() - 0.05).all() and (values <= at_corners.max() + 0.05).all()
    (across, down), (along, up) = (points[1:] - points[0]).astype(float)
    if abs(across * up - down * along) > 0.01:  # of thinner ones rounding decides where between its corners
        row, column = np.divmod(fragments.pixel, 16)
        np.testing.assert_allclose(values, a * (column + 0.5) + b * (row + 0.5), atol=0.05)
