"""The nodes around this one as a drawing: who is linked to it, and who is only known."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from cairn.web.node_models import NodeView

WIDTH = 480
HEIGHT = 400
RING_NODES = 12
"""On either ring; the table has the others."""
_RINGS = ((95, 78), (165, 160))
"""Half-axes of the inner and the outer ellipse."""
_LABEL_CHARACTERS = 14
_ROOM_ABOVE, _ROOM_BELOW = 24, 44
"""Of a shape and its label."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A node in the drawing."""

    x: float
    y: float
    label: str
    state: str
    """Decides shape: `connected`, `disconnected`, `known` or `banned`."""
    linked: bool
    title: str


@dataclass(frozen=True, slots=True)
class NodeMap:
    """This node in the middle, and others around it."""

    spots: tuple[Spot, ...]
    hidden: int
    """Nodes there is no room for."""
    top: float
    """Of what is drawn, as the next: there is no empty room around it."""
    height: float
    width: int = WIDTH
    x: int = WIDTH // 2
    y: int = HEIGHT // 2


def draw_nodes(nodes: Sequence[NodeView]) -> NodeMap:
    """Connected nodes on the inner ring, others on the outer one, those seen last first."""
    recent = sorted(nodes, key=lambda node: (-node.last_seen, node.curve_key))
    linked = [node for node in recent if node.connected]
    others = [node for node in recent if not node.connected]
    spots = [
        *_ring(linked[:RING_NODES], *_RINGS[0], turn=0.0),
        *_ring(others[:RING_NODES], *_RINGS[1], turn=0.5),
    ]
    rows = [spot.y for spot in spots] + [HEIGHT / 2]
    top = min(rows) - _ROOM_ABOVE
    return NodeMap(tuple(spots), len(nodes) - len(spots), top, max(rows) + _ROOM_BELOW - top)


def _ring(nodes: Sequence[NodeView], wide: int, high: int, turn: float) -> list[Spot]:
    """`turn`: by what part of a step the ring is turned."""
    spots = []
    for number, node in enumerate(nodes):
        angle = 2 * pi * (number + turn) / len(nodes) + pi
        x, y = WIDTH / 2 + wide * cos(angle), HEIGHT / 2 + high * sin(angle)
        name = node.name
        label = name if len(name) <= _LABEL_CHARACTERS else f"{name[: _LABEL_CHARACTERS - 1]}…"
        title = f"{name}: {node.state}, height {node.height:,}"
        spots.append(Spot(round(x, 1), round(y, 1), label, node.state, node.connected, title))
    return spots
