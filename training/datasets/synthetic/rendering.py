"""Renders a mesh with numpy: triangles, a depth buffer and one light.

Screen coordinates run right and down in pixels, pixel centres at half numbers; depth grows towards
the camera.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageFilter

SUPERSAMPLING = 2
"""Rendered this many times larger, then averaged."""
GAMMA = 2.2
CAMERA_DISTANCE = 70.0
"""Distance from the origin of the mesh, in the mesh's unit."""
CREASE_PX = 5
"""Radius, at 112 px, within which nearer surfaces darken a pixel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Vertices with their colours; see `Head` for units and ranges."""

    vertices: Float[np.ndarray, "v 3"]
    quads: Int[np.ndarray, "quads 4"]
    albedo: Float[np.ndarray, "v 3"]
    gloss: Float[np.ndarray, "v"]
    openness: Float[np.ndarray, "v"]


@dataclass(frozen=True, kw_only=True)
class Light:
    """A distant lamp and the light of the room."""

    azimuth: float
    """Degrees from the camera towards the picture's right."""
    elevation: float
    """Degrees above the camera."""
    lamp: float
    """Strength of the lamp; 1 makes a white surface that faces it white."""
    room: float
    """Strength of the light from everywhere."""

    @property
    def direction(self) -> Float[np.ndarray, "3"]:
        """Unit vector towards the lamp: right, up, to the camera."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        return np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])


def rotate(
    vertices: Float[np.ndarray, "v 3"], yaw: float, pitch: float
) -> Float[np.ndarray, "v 3"]:
    """Return vertices rotated by yaw to the picture's right, then by pitch down, in degrees."""
    a, b = math.radians(yaw), math.radians(pitch)
    sideways = [[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]]
    nod = [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
    turn = (np.array(nod) @ np.array(sideways)).astype(np.float32)
    rotated: np.ndarray = vertices @ turn.T
    return rotated


def project(points: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 2"]:
    """Return points in perspective, right and down, in the mesh's unit."""
    nearer = CAMERA_DISTANCE / (CAMERA_DISTANCE - points[:, 2:])
    return points[:, :2] * np.array([1, -1], np.float32) * nearer


def render(
    mesh: Mesh,
    to_crop: Float[np.ndarray, "2 3"],
    light: Light,
    background: Float[np.ndarray, "size size"],
) -> UInt8[np.ndarray, "size size 3"]:
    """Return the picture of a mesh, RGB.

    Args:
        mesh: already turned towards the camera, which looks along -z.
        to_crop: maps a projected point's (right, down, 1) to the picture's pixels.
        light: lamp and room light.
        background: grey levels in [0, 1] behind the mesh.
    """
    size = background.shape[0] * SUPERSAMPLING
    screen = (project(mesh.vertices) @ to_crop[:, :2].T + to_crop[:, 2]) * SUPERSAMPLING
    triangles = _front_faces(mesh.quads, screen)
    visible = _visible(triangles, screen, mesh.vertices[:, 2], size)
    attributes = np.concatenate(
        [
            mesh.albedo**GAMMA,
            _normals(mesh),
            mesh.gloss[:, None],
            mesh.openness[:, None],
            mesh.vertices[:, 2:],
        ],
        axis=1,
    ).astype(np.float32)
    corners = triangles[visible.triangle]
    surface = sum(visible.weights[:, i, None] * attributes[corners[:, i]] for i in range(3))
    picture = np.repeat(
        (background**GAMMA).repeat(SUPERSAMPLING, 0).repeat(SUPERSAMPLING, 1)[..., None], 3, 2
    )
    picture = picture.reshape(-1, 3)
    if len(visible.pixel):
        picture[visible.pixel] = _shade(
            surface, _crease_light(visible.pixel, surface[:, 8], size), light
        )
    fine = picture.reshape(size, size, 3)
    parts = [
        fine[i::SUPERSAMPLING, j::SUPERSAMPLING]
        for i in range(SUPERSAMPLING)
        for j in range(SUPERSAMPLING)
    ]
    small = np.mean(parts, 0).clip(0, 1) ** (1 / GAMMA)
    levels: np.ndarray = (255 * small).round().astype(np.uint8)
    return levels


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fragments:
    """Covered pixels: number of each, the triangle that it shows, and weights of its corners."""

    pixel: Int[np.ndarray, "n"]
    triangle: Int[np.ndarray, "n"]
    weights: Float[np.ndarray, "n 3"]


def _front_faces(
    quads: Int[np.ndarray, "quads 4"], screen: Float[np.ndarray, "v 2"]
) -> Int[np.ndarray, "triangles 3"]:
    """Return the quads' triangles that face the camera: negative area, as y grows downwards."""
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    facing: np.ndarray = triangles[
        _doubled_area(*(screen[triangles[:, i]].T for i in range(3))) < -1e-6
    ]
    return facing


def _doubled_area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return twice the signed area of triangles; corners begin with x and y."""
    area: np.ndarray = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return area


def _visible(
    triangles: Int[np.ndarray, "triangles 3"],
    screen: Float[np.ndarray, "v 2"],
    depth: Float[np.ndarray, "v"],
    size: int,
) -> _Fragments:
    """Return the nearest triangle of each pixel."""
    parts = list(_fragments(triangles, screen, size))
    pixel, triangle = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    weights = np.concatenate([part[2] for part in parts])
    corners = depth[triangles[triangle]]
    pixel_depth = sum(weights[:, i] * corners[:, i] for i in range(3))
    order = np.argsort(pixel_depth, kind="stable")
    nearest = np.full(size * size, -1)
    nearest[pixel[order]] = order  # of equal indices the last one wins: the nearest
    covered = nearest[nearest >= 0]
    return _Fragments(pixel=pixel[covered], triangle=triangle[covered], weights=weights[covered])


def _fragments(
    triangles: Int[np.ndarray, "triangles 3"], screen: Float[np.ndarray, "v 2"], size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield pixels, their triangles and weights, for triangles of about the same size at a time."""
    corners = np.stack([screen[triangles[:, i]].T for i in range(3)]).astype(np.float32)
    low = np.ceil(corners.min(0) - 0.5).clip(0, size).astype(int)
    high = np.floor(corners.max(0) - 0.5).clip(-1, size - 1).astype(int)
    extent = np.where((high >= low).all(0), (high - low).max(0) + 1, 0)
    smallest = 0
    for largest in (1, 2, 3, 4, 6, 8, 12, 20, 40, size):
        some = np.flatnonzero((extent > smallest) & (extent <= largest))
        smallest = largest
        yield _covered(some, corners[..., some], low[:, some], largest, size)


def _covered(
    some: Int[np.ndarray, "n"],
    corners: Float[np.ndarray, "3 2 n"],
    low: Int[np.ndarray, "2 n"],
    largest: int,
    size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pixels inside triangles that are up to `largest` pixels wide and high."""
    step = np.mgrid[:largest, :largest].reshape(2, 1, -1)
    at = low[..., None] + step[::-1]
    points = (at + 0.5).astype(np.float32)
    a, b, c = corners[..., None]
    whole = _doubled_area(a, b, c)
    first, second = _doubled_area(b, c, points) / whole, _doubled_area(c, a, points) / whole
    third = 1 - first - second
    inside: Bool[np.ndarray, "n pixels"] = np.minimum(np.minimum(first, second), third) >= -1e-4
    inside &= (at[0] < size) & (at[1] < size)
    which, _ = np.nonzero(inside)
    weights = np.stack([first[inside], second[inside], third[inside]], 1)
    return at[1][inside] * size + at[0][inside], some[which], weights


def _normals(mesh: Mesh) -> Float[np.ndarray, "v 3"]:
    """Return each vertex's unit normal, the mean of its quads' by their area."""
    a, b, c, d = (mesh.vertices[mesh.quads[:, i]] for i in range(4))
    across = np.cross(c - a, d - b)
    corner = mesh.quads.ravel()
    normals = np.stack(
        [np.bincount(corner, np.repeat(across[:, i], 4), len(mesh.vertices)) for i in range(3)],
        1,
    )
    unit: np.ndarray = normals / np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
    return unit


def _crease_light(
    pixel: Int[np.ndarray, "n"], depth: Float[np.ndarray, "n"], size: int
) -> Float[np.ndarray, "n"]:
    """Return how much light reaches a pixel: 1, or less if its surroundings are nearer."""
    around = max(1, CREASE_PX * size // 224)
    low, span = float(depth.min()), max(float(np.ptp(depth)), 1e-6)
    level = np.zeros((2, size * size), np.float32)
    level[:, pixel] = np.stack([(depth - low) / span, np.ones_like(depth)])
    blur = ImageFilter.BoxBlur(around)
    planes = (Image.fromarray((255 * p).astype(np.uint8).reshape(size, size)) for p in level)
    total, cover = (np.asarray(p.filter(blur), np.float32).ravel()[pixel] / 255 for p in planes)
    mean = low + span * total / cover.clip(1e-3)
    reached: np.ndarray = 1 - 0.5 * ((mean - depth) / 0.8).clip(0, 1)
    return reached


def _shade(
    surface: Float[np.ndarray, "n 9"], crease: Float[np.ndarray, "n"], light: Light
) -> Float[np.ndarray, "n 3"]:
    """Return linear colours: Lambert's law, the room's light from above, and a soft highlight."""
    albedo, normal = surface[:, :3], surface[:, 3:6]
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-6)
    between = light.direction + np.array([0, 0, 1])
    between = between / np.linalg.norm(between)
    lambert = (normal @ light.direction).clip(0, None)
    room = light.room * (0.75 + 0.25 * normal[:, 1]) * crease
    mirrored = (
        surface[:, 6] * light.lamp * (normal @ between).clip(0, None) ** (8 + 120 * surface[:, 6])
    )
    open_ = (surface[:, 7] * crease)[:, None]
    colors = albedo * (light.lamp * lambert + room)[:, None] + 0.5 * mirrored[:, None]
    lit: np.ndarray = colors * open_
    return lit
