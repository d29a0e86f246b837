"""New identities: points in the class space of a generator that it was not trained on.

The mapping network sees the direction of a class embedding alone, so identities lie on a sphere. New ones are
drawn from a Gaussian fitted to the directions of the learned classes, its covariance shrunk after Ledoit and Wolf
("A well-conditioned estimator for large-dimensional covariance matrices", 2004). Those are passed over that come
nearer to a class of the training, or to a new identity before them, than training classes come to one another.
How near two identities are is the cosine of their w at z = 0, which agrees better with what face embedders find
alike than the cosine of the embeddings.

Whether a draw is kept is the same on every machine: embeddings, and the w that are compared, are rounded to a grid
that is coarse beside the rounding errors of float64 and so fine that float32 holds every sum of products exactly.
"""

import copy
import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from sface_data.dataset.drawn_identities import DrawnIdentities
from sface_data.dataset.plan import NewIdentities
from sface_data.errors import BadInput
from sface_data.generator.networks import Generator, Linear, MappingNetwork
from sface_data.runtime.progress import Progress

Rows = NDArray[np.float64]
_EMBEDDING_GRID = 1 << 10  # steps of 1/1024 where entries are about one
_W_GRID = 1 << 11  # unit vectors: products are multiples of 2^-22, and no partial sum passes 2^24 of those
_BLOCK = 1024  # draws at a time, from one state of the random numbers
_GIVE_UP = 10_000  # draws in a row of which none is kept
_COMPARED = 8192  # rows to compare a block with at a time; bounds the memory


class _ClassTable(Linear):
    """Class embeddings as they are, in the place of the layer that learned some."""

    def __init__(self, embeddings: Tensor) -> None:
        nn.Module.__init__(self)
        self.weight = nn.Parameter(embeddings, requires_grad=False)  # [N,w_dim]

    def row(self, index: Tensor) -> Tensor:
        return F.embedding(index, self.weight)


def with_identities(generator: Generator, embeddings: NDArray[np.float32]) -> Generator:
    """The generator with other classes: class i has `embeddings[i]`, float32 [N,w_dim], and no other differs."""
    config = dataclasses.replace(generator.config, c_dim=len(embeddings))
    other = copy.copy(generator)
    other._modules = {**generator._modules, "mapping": _mapping_with(generator.mapping, torch.tensor(embeddings))}
    other.config = config
    return other


def draw_identities(
    generator: Generator, request: NewIdentities, count: int, progress: Progress | None = None
) -> DrawnIdentities:
    """The first `count` identities: number i is a function of the generator, the request and i alone.

    Args:
        progress: told of so many identities more.

    Raises:
        BadInput: if the network has no classes, or too few, or the space has no room for so many identities.
    """
    directions = class_directions(generator)
    _check_request(request, len(directions), count)
    space = _IdentitySpace(generator.mapping)
    known = space.of(_on_grid(directions))
    draws = _Mixtures(directions, request) if request.mix else _Gaussian(directions, request)
    admission = _Unlike(_limit(known, request.nearness), count, known.shape[1]) if not request.mix else _Unseen()
    kept: list[DrawnIdentities] = []
    found, last, block = 0, -1, 0
    while found < count:
        embeddings, parents = draws.block(block)
        w = space.of(embeddings)
        cosines, nearest = _nearest(w, known)
        rows = admission.rows(w, cosines, parents)[: count - found]
        kept.append(DrawnIdentities(embeddings[rows], nearest[rows], cosines[rows], parents[rows], 0))
        found += len(rows)
        if progress is not None:
            progress(len(rows))
        if len(rows):
            last = block * _BLOCK + int(rows[-1])
        block += 1
        if found < count and block * _BLOCK - last > _GIVE_UP:
            raise _no_room(request, found, count)
    return _joined(kept, rejected=last + 1 - count)


def class_directions(generator: Generator) -> Rows:
    """The learned class embeddings, each of length one: float64 [classes,w_dim].

    Raises:
        BadInput: if there are fewer than three, or they do not differ.
    """
    classes = generator.config.c_dim
    if classes == 0:
        raise BadInput("an unconditional network has no classes, so no identities can be drawn from it")
    if classes < 3:
        raise BadInput(f"the network has {classes} classes; to draw identities from it there must be at least 3")
    with torch.inference_mode():
        rows = generator.mapping.embed.row(torch.arange(classes)).double().cpu().numpy()
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()) or np.ptp(rows, axis=0).max() == 0:
        raise BadInput("the network's class embeddings are not finite, zero or all the same; nothing can be drawn")
    return rows / length


def shrunk_covariance(deviations: Rows) -> Rows:
    """Covariance of rows [n,D] of mean zero, shrunk towards a sphere after Ledoit and Wolf (2004, section 3.3)."""
    n, size = deviations.shape
    sample = deviations.T @ deviations / n
    mean = np.trace(sample) / size
    sphere = mean * np.eye(size)
    distance = np.square(sample - sphere).sum()
    error = np.square(np.square(deviations).sum(axis=1)).sum() / n**2 - np.square(sample).sum() / n
    share = min(error / distance, 1.0) if distance > 0 else 1.0
    return share * sphere + (1 - share) * sample


class _Gaussian:
    """Directions from a Gaussian fitted to those of the learned classes."""

    def __init__(self, directions: Rows, request: NewIdentities) -> None:
        self._seed = request.seed
        self._mean = directions.mean(axis=0)
        self._factor = np.linalg.cholesky(shrunk_covariance(directions - self._mean))  # [D,D]

    def block(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Embeddings [_BLOCK,w_dim] and no parents [_BLOCK,0]."""
        normal = _random(self._seed, number).standard_normal((_BLOCK, len(self._mean)))
        return _on_grid(self._mean + normal @ self._factor.T), np.zeros((_BLOCK, 0), np.int64)


class _Mixtures:
    """Equal shares of K classes drawn at random, so that none of them outweighs the others."""

    def __init__(self, directions: Rows, request: NewIdentities) -> None:
        self._request = request
        self._directions = directions

    def block(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Embeddings [_BLOCK,w_dim] and parents [_BLOCK,K]."""
        random = _random(self._request.seed, number)
        classes, mix = len(self._directions), self._request.mix
        parents = np.stack([np.sort(random.choice(classes, mix, replace=False)) for _ in range(_BLOCK)])
        return _on_grid(self._directions[parents].mean(axis=1)), parents


class _Unlike:
    """Keeps identities that are no nearer than a limit to a training class or to one that was kept before."""

    def __init__(self, limit: float, count: int, size: int) -> None:
        self._limit = limit
        self._kept = np.empty((count, size), np.float32)
        self._found = 0

    def rows(
        self, w: NDArray[np.float32], cosines: NDArray[np.float32], parents: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Which of some draws are kept; `cosines` are those to the nearest training class."""
        rows = np.flatnonzero(cosines <= self._limit)
        rows = rows[_nearest(w[rows], self._kept[: self._found])[0] <= self._limit]
        near = w[rows] @ w[rows].T > self._limit
        chosen: list[int] = []
        for i in range(len(rows)):
            if not near[i, chosen].any():
                chosen.append(i)
        kept = rows[chosen]
        room = len(self._kept) - self._found
        self._kept[self._found : self._found + len(kept)] = w[kept[:room]]
        self._found = min(self._found + len(kept), len(self._kept))
        return kept


class _Unseen:
    """Keeps mixtures of classes that were not mixed before."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, ...]] = set()

    def rows(
        self, w: NDArray[np.float32], cosines: NDArray[np.float32], parents: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Which of some draws are kept."""
        rows = []
        for row, mixed in enumerate(map(tuple, parents.tolist())):
            if mixed not in self._seen:
                self._seen.add(mixed)
                rows.append(row)
        return np.array(rows, np.int64)


class _IdentitySpace:
    """Where identities are compared: the direction of w at z = 0."""

    def __init__(self, mapping: MappingNetwork) -> None:
        self._mapping = copy.deepcopy(mapping).double().cpu()

    @torch.inference_mode()
    def of(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [N,w_dim], of length about one, of embeddings [N,w_dim]."""
        mapping = _mapping_with(self._mapping, torch.from_numpy(embeddings).double())
        blocks = []
        for classes in torch.arange(len(embeddings)).split(_BLOCK):
            w = mapping(torch.zeros(len(classes), mapping.z_dim, dtype=torch.float64), classes)
            blocks.append(np.rint(F.normalize(w, dim=1).numpy() * _W_GRID) / _W_GRID)
        return np.concatenate(blocks).astype(np.float32)


def _nearest(w: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The largest cosine [N] of each row of w [N,w_dim] to one of others [M,w_dim], and to which; -1 if M is 0."""
    best, index = np.full(len(w), -1, np.float32), np.full(len(w), -1, np.int64)
    for first in range(0, len(others), _COMPARED):
        cosines = w @ others[first : first + _COMPARED].T
        nearer = cosines.max(axis=1) > best
        index[nearer] = first + cosines[nearer].argmax(axis=1)
        best = np.maximum(best, cosines.max(axis=1))
    return best, index


def _limit(known: NDArray[np.float32], nearness: float) -> float:
    """A quantile of how near training classes [n,w_dim] come to another one."""
    nearest = []
    for first in range(0, len(known), _BLOCK):
        cosines = known[first : first + _BLOCK] @ known.T
        cosines[np.arange(len(cosines)), first + np.arange(len(cosines))] = -1
        nearest.append(cosines.max(axis=1))
    return float(np.quantile(np.concatenate(nearest), nearness, method="inverted_cdf"))  # a value that occurs


def _on_grid(rows: Rows) -> NDArray[np.float32]:
    """Embeddings in these directions [N,w_dim], scaled as the network does it, to a root mean square of one."""
    scaled = rows / np.sqrt(np.square(rows).mean(axis=1, keepdims=True))
    return (np.rint(scaled * _EMBEDDING_GRID) / _EMBEDDING_GRID).astype(np.float32)


def _random(seed: int, block: int) -> np.random.Generator:
    # Counter-based (Philox, Salmon et al. 2011): a block is the same whatever was drawn before it.
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, block]))


def _mapping_with(mapping: MappingNetwork, embeddings: Tensor) -> MappingNetwork:
    other = copy.copy(mapping)
    other._modules = {**mapping._modules, "embed": _ClassTable(embeddings)}
    other.c_dim = len(embeddings)
    return other


def _joined(parts: list[DrawnIdentities], rejected: int) -> DrawnIdentities:
    embeddings, nearest, cosines, parents = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("embeddings", "nearest", "cosines", "parents")
    )
    return DrawnIdentities(embeddings, nearest, cosines, parents, rejected)


def _check_request(request: NewIdentities, classes: int, count: int) -> None:
    if request.mix is None:
        return
    if request.mix > classes:
        raise BadInput(f"mixtures of {request.mix} classes are asked for, but the network has {classes}")
    if (most := math.comb(classes, request.mix)) < count:
        raise BadInput(
            f"{count:,} mixtures of {request.mix} of {classes} classes are asked for, but there are {most:,}"
        )


def _no_room(request: NewIdentities, found: int, count: int) -> BadInput:
    if request.mix is not None:
        return BadInput(
            f"{count:,} mixtures of {request.mix} classes are asked for, but only {found:,} were found, none in "
            f"{_GIVE_UP:,} draws after those; ask for at most {found:,}"
        )
    return BadInput(
        f"{count:,} new identities are asked for, but only {found:,} were found that are no nearer to a class or "
        f"to one another than classes are (quantile {request.nearness:g}); ask for at most {found:,}"
    )
