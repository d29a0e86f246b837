"""What all images of one identity share: its mesh and its texture, made once."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sface_data.rendered import atlas, hair, headpack, skin
from sface_data.rendered.geometry import Floats, Ints, incidence, vertex_normals
from sface_data.rendered.identity import Identity
from sface_data.rendered.noise import ValueNoise

_LIFT = np.array([0, 0.25, 0], np.float32)  # hair stands up a little, too


@dataclass(frozen=True)
class Surface:
    """The opaque part of a mesh: all but the lashes."""

    triangles: Ints  # [F,3] as they are drawn; sheets seen from both sides come twice
    outside: Ints  # [G,3] each once, as normals are made of them
    touching: sparse.csr_matrix  # [V,G] which of `outside` touch which vertex
    part: NDArray[np.int8]  # [F] of the head pack; hair counts as body


@dataclass(frozen=True)
class Head:
    """One identity, ready to be posed. V counts the head's vertices and those of long hair, if any."""

    identity: Identity
    vertices: Floats  # [V,3] decimetres from between the eyes, neutral expression, with the hair's volume
    curtain: hair.Curtain | None

    @cached_property
    def surface(self) -> Surface:
        return _bare_surface() if self.curtain is None else _with_curtain(_bare_surface(), self.curtain)

    @cached_property
    def fixed(self) -> Floats:
        """What the points of the surface keep in all images, by vertex [V,6].

        Place in the texture (x, y in texels), share of the sky seen, offset from the eye's centre (x, y in
        its radii; 0 off the eyes), height above the eyes at rest (decimetres; 0 for long hair).
        """
        pack = headpack.load()
        offset = np.zeros((len(pack.base), 2), np.float32)
        for part in (headpack.LEFT_EYE, headpack.RIGHT_EYE):
            eye = pack.vertices_of(part)
            around = self.vertices[eye, :2] - self.vertices[eye, :2].mean(0)
            offset[eye] = around / np.sqrt((around**2).sum(1)).max()
        head = np.concatenate([atlas.load().uv, pack.occlusion[:, None], offset, pack.rest[:, 1:2]], axis=1)
        if self.curtain is None:
            return head
        none = np.zeros((len(self.curtain.uv), 3), np.float32)
        sheet = np.concatenate([self.curtain.uv, self.curtain.occlusion[:, None], none], axis=1)
        return np.concatenate([head, sheet])

    @cached_property
    def texture(self) -> Floats:
        """[ROWS, COLUMNS, 5]: linear colour, gloss, share of hair. Made at its first use."""
        layout = atlas.load()
        noise = ValueNoise(self.identity.noise_rng())
        grain = skin.grain_at(layout.rest, noise)
        colour, gloss = skin.paint_face(self.identity, layout.rest, layout.lips, grain, noise)
        colour[layout.teeth], gloss[layout.teeth] = skin.TOOTH, 0.4
        colour, gloss, cover = hair.paint_scalp(self.identity.hair, colour, gloss, layout.rest, grain, noise)
        painted = np.concatenate([colour, gloss[:, None], cover[:, None]], axis=1).astype(np.float32)
        texture = np.zeros((atlas.ROWS, atlas.COLUMNS, 5), np.float32)
        texture[: atlas.HEAD_ROWS] = painted[layout.nearest].reshape(atlas.HEAD_ROWS, atlas.COLUMNS, 5)
        if self.curtain is not None:
            texture[atlas.HEAD_ROWS :] = self.curtain.texture
        return texture


def bake(identity: Identity) -> Head:
    """Shapes the head of an identity; its texture follows when it is first used."""
    pack = headpack.load()
    noise = ValueNoise(identity.noise_rng())
    vertices = pack.base + pack.displacement(identity.shape)
    eyes = [vertices[pack.vertices_of(part)].mean(0) for part in (headpack.LEFT_EYE, headpack.RIGHT_EYE)]
    vertices -= (eyes[0] + eyes[1]) / 2
    stand_off = hair.thickness(identity.hair, pack.rest, noise)
    stand_off[~_on_body()] = 0
    bare = _bare_surface()
    normals = vertex_normals(vertices, bare.outside, bare.touching)
    vertices = vertices + (normals + _LIFT) * stand_off[:, None]
    if identity.hair.style != "long":
        return Head(identity, vertices, None)
    scalp = _on_body() & (hair.above_hairline(identity.hair, pack.rest) > 0.1) & (pack.rest[:, 1] > 0.15)
    curtain = hair.hang_curtain(identity.hair, vertices[scalp], noise)
    return Head(identity, np.concatenate([vertices, curtain.vertices]), curtain)


@cache
def _bare_surface() -> Surface:
    pack = headpack.load()
    drawn = pack.part != headpack.LASHES
    triangles = pack.triangles[drawn]
    return Surface(triangles, triangles, incidence(triangles, pack.weld), pack.part[drawn])


@cache
def _on_body() -> NDArray[np.bool_]:
    """Whether a vertex of the head pack [V] is of the body."""
    pack = headpack.load()
    return np.isin(np.arange(len(pack.base)), pack.vertices_of(headpack.BODY))


def _with_curtain(bare: Surface, curtain: hair.Curtain) -> Surface:
    sheet = curtain.triangles + len(headpack.load().base)
    alone = incidence(curtain.triangles, np.arange(len(curtain.vertices), dtype=np.int32))
    return Surface(
        triangles=np.concatenate([bare.triangles, sheet, sheet[:, ::-1]]),
        outside=np.concatenate([bare.outside, sheet]),
        touching=sparse.block_diag([bare.touching, alone], format="csr", dtype=np.float32),
        part=np.concatenate([bare.part, np.full(2 * len(sheet), headpack.BODY, np.int8)]),
    )
