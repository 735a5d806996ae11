"""A merkle proof as a drawing: the geometry of the path from the transaction up to the root."""

from dataclasses import dataclass

from cairn.consensus.merkle import leaf_hash, node_hash, sibling_sides
from cairn.web.models import ProofView

WIDTH = 360
BOX_WIDTH = 164
BOX_HEIGHT = 44
_ROW = 76
"""From one level to the next."""
_COLUMNS = {"left": 0, "middle": (WIDTH - BOX_WIDTH) // 2, "right": WIDTH - BOX_WIDTH}


@dataclass(frozen=True, slots=True)
class Box:
    """A hash in the drawing."""

    hash: str
    role: str
    """`leaf`, `path`, `sibling` or `root`."""
    label: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Step:
    """Two hashes and the one over both."""

    left: str
    right: str
    result: str
    known: str
    """Which of the two follows from the step before: `left` or `right`."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The whole path."""

    leaf: str
    """Hash of the transaction's bytes as a leaf."""
    root: str
    """The header's merkle root."""
    steps: tuple[Step, ...]
    """From the leaf up."""
    boxes: tuple[Box, ...]
    lines: tuple[tuple[int, int, int, int], ...]
    """x1, y1, x2, y2: from a hash up to the one made of it."""
    width: int
    height: int
    leaf_index: int
    leaf_count: int


def draw_proof(proof: ProofView) -> Drawing:
    """The drawing of a proof that a node made."""
    leaf = leaf_hash(bytes.fromhex(proof.transaction))
    steps, root = _climb(leaf, proof)
    height = len(steps) * _ROW + BOX_HEIGHT
    boxes, lines = _place(leaf.hex(), steps, height)
    return Drawing(
        leaf=leaf.hex(),
        root=root.hex(),
        steps=tuple(steps),
        boxes=tuple(boxes),
        lines=tuple(lines),
        width=WIDTH,
        height=height,
        leaf_index=proof.leaf_index,
        leaf_count=proof.leaf_count,
    )


def _climb(leaf: bytes, proof: ProofView) -> tuple[list[Step], bytes]:
    """The steps from the leaf's hash up, and the root."""
    node, steps = leaf, []
    sides = sibling_sides(proof.leaf_index, proof.leaf_count)
    for is_left, text in zip(sides, proof.path, strict=True):
        sibling = bytes.fromhex(text)
        left, right = (sibling, node) if is_left else (node, sibling)
        node = node_hash(left, right)
        steps.append(Step(left.hex(), right.hex(), node.hex(), "right" if is_left else "left"))
    return steps, node


def _place(
    leaf: str, steps: list[Step], height: int
) -> tuple[list[Box], list[tuple[int, int, int, int]]]:
    """The leaf's level at the bottom, the root at the top."""
    boxes: list[Box] = []
    lines: list[tuple[int, int, int, int]] = []
    half = BOX_WIDTH // 2
    for level, step in enumerate(steps):
        y = height - BOX_HEIGHT - level * _ROW
        above = _column(steps, level + 1)
        for side, value in (("left", step.left), ("right", step.right)):
            known = side == step.known
            role = "sibling" if not known else "path" if level else "leaf"
            boxes.append(Box(value, role, _label(role, level), _COLUMNS[side], y))
            lines.append((_COLUMNS[side] + half, y, above + half, y - _ROW + BOX_HEIGHT))
    top = steps[-1].result if steps else leaf
    boxes.append(Box(top, "root", "merkle root of the block", _COLUMNS["middle"], 0))
    return boxes, lines


def _column(steps: list[Step], level: int) -> int:
    return _COLUMNS[steps[level].known if level < len(steps) else "middle"]


def _label(role: str, level: int) -> str:
    if role == "leaf":
        return "this transaction"
    return "in the proof" if role == "sibling" else f"computed, step {level}"
