//! Walking the trees: eight rows side by side through one tree after the other, so that the processor always has
//! something to do while a comparison waits for its value. Sums are taken in the order of the trees, in float32, which
//! is what ONNX Runtime does.

/// Rows that go through a tree together.
pub(super) const LANES: usize = 8;
/// Levels walked between two looks at whether all lanes have arrived.
const STRIDE: usize = 4;
/// Marks a split that sends a missing value to the first child.
pub(super) const MISSING_FIRST: u16 = 1 << 15;

/// A split, or a leaf: then it leads to itself whatever the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    /// Values up to this one go to the first child.
    pub threshold: f32,
    /// Column of the input, with `MISSING_FIRST`.
    pub feature: u16,
    /// Index of the first child in its tree; the second one follows it.
    pub child: u16,
}

/// One tree's part of the forest's nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    pub start: usize,
    pub end: usize,
    /// Splits on the longest way to a leaf.
    pub depth: usize,
    /// The one target that its leaves add to, or None where they add to all.
    pub target: Option<usize>,
}

/// Whether a value is missing and the node sends it to the first child.
#[inline]
#[allow(clippy::needless_bitwise_bool)] // a branch that nobody can foresee costs more than both halves
fn missing_first(value: f32, node: Node) -> bool {
    value.is_nan() & (node.feature & MISSING_FIRST != 0)
}

/// Indices in the tree of the leaves that the rows of a block arrive at. `block` has `LANES` rows of `width` values.
pub(super) fn leaves<const MISSING: bool>(nodes: &[Node], depth: usize, block: &[f32], width: usize) -> [u16; LANES] {
    let mut at = [0_u16; LANES];
    let mut left = depth;
    while left > 0 {
        let steps = left.min(STRIDE);
        let before = at;
        for _ in 0..steps {
            for (lane, at) in at.iter_mut().enumerate() {
                let node = nodes[usize::from(*at)];
                let value = block[lane * width + usize::from(node.feature & !MISSING_FIRST)];
                // Not `value > threshold`: a missing value compares false both ways.
                let mut first = value <= node.threshold;
                if MISSING {
                    first |= missing_first(value, node);
                }
                *at = node.child + u16::from(!first);
            }
        }
        left -= steps;
        if at == before {
            break; // a leaf leads to itself: everybody has arrived
        }
    }
    at
}

/// Indices in their trees of the leaves that one row arrives at, in up to `LANES` trees side by side: a lone row has no
/// neighbours to share the walk with.
pub(super) fn leaves_of_row<const MISSING: bool>(nodes: &[Node], trees: &[Tree], row: &[f32]) -> [u16; LANES] {
    let mut at = [0_u16; LANES];
    let starts: [usize; LANES] = std::array::from_fn(|lane| trees.get(lane).or(trees.last()).map_or(0, |t| t.start));
    let depth = trees.iter().map(|tree| tree.depth).max().unwrap_or(0);
    for _ in 0..depth {
        for (at, start) in at.iter_mut().zip(starts) {
            let node = nodes[start + usize::from(*at)];
            let value = row[usize::from(node.feature & !MISSING_FIRST)];
            let mut first = value <= node.threshold;
            if MISSING {
                first |= missing_first(value, node);
            }
            *at = node.child + u16::from(!first);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(at: u16) -> Node {
        Node { threshold: f32::INFINITY, feature: MISSING_FIRST, child: at }
    }

    #[test]
    fn lanes_part_at_the_threshold_and_missing_goes_where_it_is_sent() {
        let split = |feature| Node { threshold: 1.0, feature, child: 1 };
        let block = [0.0, 1.0, 1.000_000_1, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0, -1.0];
        let to_second = [split(0), leaf(1), leaf(2)];
        assert_eq!(leaves::<true>(&to_second, 1, &block, 1), [1, 1, 2, 2, 2, 1, 2, 1]);
        let to_first = [split(MISSING_FIRST), leaf(1), leaf(2)];
        assert_eq!(leaves::<true>(&to_first, 1, &block, 1), [1, 1, 2, 1, 2, 1, 2, 1]);
    }

    #[test]
    fn rows_that_arrive_early_wait() {
        let mut nodes = Vec::new();
        for level in 0..9_u16 {
            nodes.push(Node { threshold: f32::from(level), feature: 0, child: 2 * level + 1 });
            nodes.push(leaf(2 * level + 1));
        }
        nodes.push(leaf(18));
        let block: Vec<f32> = (0..LANES).map(|row| row as f32 + 0.5).collect();
        let found = leaves::<false>(&nodes, 9, &block, 1);
        assert_eq!(found, [3, 5, 7, 9, 11, 13, 15, 17]);
        let tree = Tree { start: 0, end: nodes.len(), depth: 9, target: Some(0) };
        for (value, leaf) in block.iter().zip(found) {
            assert_eq!(leaves_of_row::<false>(&nodes, &[tree; 3], &[*value])[..3], [leaf; 3]);
        }
    }
}
