"""What surface that no view saw is likely to look like, by what was seen: the colours of similar surface nearby, and on
planes their pattern."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from .fill import pad
from .plane_patterns import Pattern, find_pattern
from .planes import find_planes
from .rim import level_rim
from .texels import Texels, rasterize
from .textured_mesh import TexturedMesh

_CELL = 0.1  # metres, side of the pieces of surface whose mean colours are continued
_MOST_NODES = 24_000
_FINEST = 0.008  # metres between the cells in which patterns are looked for
_FARTHEST = 100_000  # pieces from the middle
# What counts as far: surface that is a metre away, as far off the plane as this, or turned so.
_OFF_PLANE, _TURNED = 150.0, 4.0
_SOFT, _FALL = 0.02, 4.0
# Two guesses miss in different ways: surface of the same kind, and the fill from what is next on the surface. Their
# mean is better than either; so is that with what was generated, where neither is near.
_FILL, _GENERATED = 0.65, 0.3
_NEIGHBOURS, _LIKE = 8, 0.25  # pieces that a texel lies between, and metres that another normal counts for
_SURE, _SURE_OF_PATTERNS = 1.0, 9.0  # square metres
_AROUND, _WIDE = 48, 0.25  # pieces and metres over which generated colours are smoothed
_TRUSTED = 0.6
_STRONGER = 0.9
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Continuation:
    """What a texture's texels look like, the unseen ones by a guess.

    Attributes:
        texels: all n of them.
        place, normal: (n, 3) float32, where each lies, metres from the mesh's middle, and its face's normal.
        pieces: small pieces of surface that they belong to.
        seen: (n,) bool, which the texture has colours of.
        color: (n, 3) float32 0..255; of those that are seen their own.
        sure: (n,) float32 0..1, how near known surface of the same kind is; 1 where seen.
        grain: (n,) float32, standard deviation of the detail that is likely there and yet to come; 0 where seen.
    """

    texels: Texels
    place: np.ndarray
    normal: np.ndarray
    pieces: "Pieces"
    seen: np.ndarray
    color: np.ndarray
    sure: np.ndarray
    grain: np.ndarray

    def painted(self, textured: TexturedMesh) -> TexturedMesh:
        """A texture with these colours where it is not covered."""
        pages = np.stack(textured.textures)
        unseen = ~np.stack(textured.coverage).reshape(-1)[self.texels.pixel]
        pages.reshape(-1, 3)[self.texels.pixel[unseen]] = np.rint(self.color[unseen]).astype(np.uint8)
        return replace(textured, textures=tuple(pages))

    def trusted(self, textured: TexturedMesh) -> TexturedMesh:
        """The same, with what is as good as known counted as seen."""
        pages = np.stack(textured.coverage)
        pages.reshape(-1)[self.texels.pixel[self.sure > _TRUSTED]] = True
        return replace(self.painted(textured), coverage=tuple(pages))


@dataclass(frozen=True, eq=False)
class Pieces:
    """Small pieces of surface of one side each: k of them.

    Attributes:
        of: (n,) int64, the piece of each texel.
        place, normal: (k, 3) float32, means.
        texels: (k,) float64, how many there are,
        seen: (k,) float64, and how many of them are seen.
        side: of a piece, metres.
    """

    of: np.ndarray
    place: np.ndarray
    normal: np.ndarray
    texels: np.ndarray
    seen: np.ndarray
    side: float

    @cached_property
    def tree(self) -> cKDTree:
        """Finds pieces by place and normal."""
        return cKDTree(np.concatenate([self.place, _LIKE * self.normal], 1))

    def mean(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """(k, c) means of (n, c) values by weight (n,); 0 where there is no weight."""
        count = np.bincount(self.of, weight, len(self.place))
        sums = [np.bincount(self.of, weight * values[:, c], len(self.place)) for c in range(values.shape[1])]
        return (np.stack(sums, 1) / np.maximum(count, 1e-12)[:, None]).astype(np.float32)

    def smooth(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The same, over the pieces around, too."""
        count = min(_AROUND, len(self.place))
        far, which = self.tree.query(self.tree.data, k=count)
        share = np.exp(-0.5 * (far.reshape(-1, count) / _WIDE) ** 2)
        share *= np.bincount(self.of, weight, len(self.place))[which.reshape(-1, count)]
        share /= np.maximum(share.sum(1, keepdims=True), 1e-12)
        return np.einsum("nk,nkc->nc", share, self.mean(values, weight)[which.reshape(-1, count)]).astype(np.float32)


def continued(textured: TexturedMesh) -> Continuation:
    """Guesses the unseen texels of a texture that are filled by `diffuse`. Some must be seen."""
    mesh, texels = textured.mesh, rasterize(textured.atlas)
    seen = np.stack(textured.coverage).reshape(-1)[texels.pixel]
    color = np.stack(textured.textures).reshape(-1, 3)[texels.pixel].astype(np.float32)
    place = texels.interpolate((mesh.triangles - mesh.extent.middle).astype(np.float32))
    normal = mesh.face_normals[texels.face].astype(np.float32)
    pieces = _pieces(place, normal, seen)
    pattern = _patterned(pieces, place, color, seen, max(1 / textured.atlas.texels_per_metre, _FINEST))
    known = seen.astype(np.float64)
    means = pieces.mean(np.column_stack([pattern.base, np.square(_detail(pieces, place, normal, color, seen))]), known)
    means, unlike = _regress(pieces, means, pieces.seen > 0)
    told = _between(pieces, place[~seen], normal[~seen], np.column_stack([means, unlike]))
    variance, unlike = told[:, 3], told[:, 4]
    color[~seen] = told[:, :3] + pattern.detail[~seen]
    filled = np.stack(textured.textures).reshape(-1, 3)[texels.pixel]
    apart = pieces.mean(filled - color, 1 - known)
    smooth = _between(pieces, place[~seen], normal[~seen], apart)
    color[~seen] += _FILL * (1 - pattern.alike[~seen, None]) * smooth
    color = np.clip(color, 0, 255)
    sure, grain = np.ones(len(color), np.float32), np.zeros(len(color), np.float32)
    repeats = pattern.alike[~seen] * np.exp(-unlike / _SURE_OF_PATTERNS)
    sure[~seen] = np.maximum(np.exp(-unlike / _SURE), repeats)
    grain[~seen] = np.where(pattern.certain[~seen] > 0, 0, np.sqrt(variance))
    return Continuation(texels, place, normal, pieces, seen, color, sure, grain)


def _patterned(pieces: Pieces, place: np.ndarray, color: np.ndarray, seen: np.ndarray, spacing: float) -> Pattern:
    """What all planes' patterns tell of the n texels; elsewhere the base is their colour, and nothing comes on top."""
    nothing = np.zeros(len(color), np.float32)
    out = Pattern(color.copy(), np.zeros_like(color), nothing, nothing.copy())
    for plane in find_planes(pieces.place, pieces.normal, pieces.texels):
        own = np.flatnonzero(plane.holds[pieces.of])
        own = own[plane.reaches(place[own])]
        if not seen[own].any() or seen[own].all():
            continue
        found = find_pattern(plane.flat(place[own]), color[own], seen[own], spacing)
        if found is not None:
            out.base[own], out.detail[own] = found.base, found.detail
            out.certain[own], out.alike[own] = found.certain, found.alike
    return out


def _detail(pieces, place, normal, color, which) -> np.ndarray:
    """(n, 1) root mean square over the channels of what is finer than pieces, of the texels in `which`; 0 elsewhere."""
    smooth = _between(pieces, place[which], normal[which], pieces.smooth(color, which.astype(np.float64)))
    out = np.zeros((len(color), 1), np.float32)
    out[which, 0] = np.sqrt(np.square(color[which] - smooth).mean(1))
    return out


def settled(made: TexturedMesh, before: TexturedMesh, told: Continuation) -> TexturedMesh:
    """A texture in which the texels that nothing was known of were generated, made to fit what is known.

    Where surface of the same kind is near, its colour is right and the generated one a fantasy: the smooth part is
    corrected, the less the farther that is. On planes with a pattern the detail is the pattern's.

    Args:
        made: the texture; what no view saw may have any colour.
        before: the same, before those texels were generated; what is covered there stays.
        told: what its photos tell.
    """
    texels, pieces = told.texels, told.pieces
    pages = np.stack(made.textures)
    kept = np.stack(before.coverage).reshape(-1)[texels.pixel]
    painted = np.stack(made.coverage).reshape(-1)[texels.pixel] & ~kept
    there = pages.reshape(-1, 3)[texels.pixel].astype(np.float32)
    color = np.where(kept[:, None], there, told.color)
    weight = painted.astype(np.float64)
    change = np.zeros_like(color)
    change[painted] = there[painted] - color[painted]
    smooth = _between(pieces, told.place[painted], told.normal[painted], pieces.smooth(change, weight))
    fine = change[painted] - smooth
    found = np.zeros_like(color)
    found[painted, :1] = np.square(fine).mean(1, keepdims=True)
    found = np.sqrt(_between(pieces, told.place[painted], told.normal[painted], pieces.smooth(found[:, :1], weight)))
    fine *= np.minimum(told.grain[painted, None] / np.maximum(found, 1e-3), _STRONGER)
    color[painted] += _GENERATED * (1 - told.sure[painted, None]) * smooth + fine
    new = ~kept
    color[new] = level_rim(color, kept, texels, made.atlas)[new]
    pages.reshape(-1, 3)[texels.pixel[new]] = np.rint(np.clip(color[new], 0, 255)).astype(np.uint8)
    padded = (pad(page, mask) for page, mask in zip(pages, texels.charted(made.atlas), strict=True))
    return replace(made, textures=tuple(padded))


def _pieces(place: np.ndarray, normal: np.ndarray, seen: np.ndarray) -> Pieces:
    side = np.abs(normal).argmax(1) * 2 + (np.take_along_axis(normal, np.abs(normal).argmax(1)[:, None], 1)[:, 0] > 0)
    cell = _CELL
    while True:
        steps = np.clip(np.floor(place / cell), -_FARTHEST, _FARTHEST).astype(np.int64)
        key = np.column_stack([steps, side])
        key -= key.min(0)
        wide = key.max(0) + 1
        number = ((key[:, 0] * wide[1] + key[:, 1]) * wide[2] + key[:, 2]) * wide[3] + key[:, 3]
        kept, of = np.unique(number, return_inverse=True)
        if len(kept) <= _MOST_NODES:
            break
        cell *= 1.3
    count = np.bincount(of)
    pieces = Pieces(of, np.zeros((len(count), 3)), np.zeros(0), count.astype(np.float64), np.bincount(of, seen), cell)
    ones = np.ones(len(of))
    turned = pieces.mean(normal, ones)
    turned /= np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-9)
    return replace(pieces, place=pieces.mean(place, ones), normal=turned)


def _regress(pieces: Pieces, color: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k, 3) colours of all pieces, those not `known` (k,) by the known ones, the more alike the more (Shepard 1968);
    and (k,) how unlike the most alike one is, square metres."""
    out, unlike = color.copy(), np.zeros(len(color), np.float32)
    place, normal, given = pieces.place[known], pieces.normal[known], color[known]
    weight = pieces.seen[known].astype(np.float32)
    unknown = np.flatnonzero(~known)
    for start in range(0, len(unknown), _BLOCK):
        at = unknown[start : start + _BLOCK]
        far = _unlike(pieces.place[at], pieces.normal[at], place, normal)
        share = weight * (far + _SOFT) ** -_FALL
        out[at] = share @ given / share.sum(1, keepdims=True)
        unlike[at] = far.min(1)
    return out, unlike


def _unlike(place: np.ndarray, normal: np.ndarray, others: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(a, b) square metres, how unlike the surface at a places is to that at b others."""
    squares = (place**2).sum(1)[:, None] + (others**2).sum(1) - 2 * place @ others.T
    mine = np.einsum("ij,ij->i", place, normal)[:, None] - normal @ others.T
    theirs = place @ normals.T - np.einsum("ij,ij->i", others, normals)
    off = np.maximum(np.abs(mine), np.abs(theirs))
    return np.maximum(squares, 0) + _OFF_PLANE * off**2 + _TURNED * (1 - normal @ normals.T)


def _between(pieces: Pieces, place: np.ndarray, normal: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n, c) values of texels between pieces (k, c), which blend into each other."""
    count = min(_NEIGHBOURS, len(values))
    far, which = pieces.tree.query(np.concatenate([place, _LIKE * normal], 1), k=count)
    far, which = far.reshape(len(place), count), which.reshape(len(place), count)
    far = np.square(far / (0.7 * pieces.side))
    share = np.exp(0.5 * (far[:, :1] - far)).astype(np.float32)
    share /= share.sum(1, keepdims=True)
    return np.einsum("nk,nkc->nc", share, values[which])
