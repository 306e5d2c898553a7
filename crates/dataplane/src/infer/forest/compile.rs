//! From an ONNX graph to a forest, where the graph is one tree ensemble and nothing else that matters.

use rustc_hash::FxHashMap;

use super::head::{Head, Kind, Transform};
use super::walk::{MISSING_FIRST, Node, Tree};
use super::{Forest, Labels, Output, Source};
use crate::infer::graph::{self, Graph};
use crate::tensor::Datatype;
use crate::wire::bundle::{Signature, TensorSpec};

/// Weights of a leaf by target.
type Weights = Vec<(usize, f32)>;
/// Those of all leaves, by tree and node.
type Leaves = FxHashMap<(i64, i64), Weights>;

/// What a node of the graph is.
enum Part {
    Leaf,
    /// Its first child is not known yet.
    Split(Node),
}

/// Values that all leaves together may hold.
const MOST_VALUES: usize = 64 << 20;

/// The forest that `bytes` hold, or None where they hold anything else or more than it can be.
pub(super) fn compile(bytes: &[u8], signature: &Signature) -> Option<Forest> {
    let graph = graph::read(bytes)?;
    let [input] = &signature.inputs[..] else { return None };
    let &[-1, width] = &input.shape[..] else { return None };
    let width = usize::try_from(width).ok().filter(|&width| width > 0 && width < usize::from(MISSING_FIRST))?;
    let ensemble = graph.nodes.iter().find(|node| node.op_type.starts_with("TreeEnsemble"))?;
    let classifier = match ensemble.op_type.as_str() {
        "TreeEnsembleClassifier" => true,
        "TreeEnsembleRegressor" => false,
        _ => return None,
    };
    if input.datatype != Datatype::Fp32 || ensemble.inputs != [input.name.clone()] {
        return None;
    }
    let outputs =
        signature.outputs.iter().map(|spec| output(&graph, ensemble, classifier, spec)).collect::<Option<_>>()?;
    let ensemble = Ensemble { node: ensemble, classifier };
    let labels = ensemble.labels()?;
    let (head, sums) = ensemble.head(&labels)?;
    let mut forest =
        Forest { nodes: Vec::new(), values: Vec::new(), trees: Vec::new(), sums, width, head, labels, outputs };
    ensemble.plant(&mut forest)?;
    Some(forest)
}

/// What an output of the graph is, through nodes that change nothing but the scale.
fn output(graph: &Graph, ensemble: &graph::Node, classifier: bool, spec: &TensorSpec) -> Option<Output> {
    let (mut name, mut factor) = (spec.name.as_str(), 1.0_f32);
    loop {
        if let Some(index) = ensemble.outputs.iter().position(|output| output == name) {
            let source = if classifier && index == 0 { Source::Label } else { Source::Scores { factor } };
            let fits = match source {
                Source::Label => matches!(spec.datatype, Datatype::Int64 | Datatype::Bytes),
                Source::Scores { .. } => spec.datatype == Datatype::Fp32,
            };
            return fits.then(|| Output { source, datatype: spec.datatype, shape: spec.shape.clone() });
        }
        let node = graph.nodes.iter().find(|node| node.outputs.first().is_some_and(|output| output == name))?;
        name = match (node.op_type.as_str(), &node.inputs[..]) {
            ("Identity", [input]) => input,
            ("Mul", [input, constant]) => {
                factor *= graph.initializers.iter().find(|value| value.name == *constant)?.scalar()?;
                input
            }
            _ => return None,
        };
    }
}

/// The ensemble's node, read attribute by attribute.
struct Ensemble<'g> {
    node: &'g graph::Node,
    classifier: bool,
}

impl Ensemble<'_> {
    /// An attribute whose name depends on what the ensemble is.
    fn leaf_ints(&self, name: &str) -> &[i64] {
        self.node.ints(&format!("{}_{name}", if self.classifier { "class" } else { "target" }))
    }

    fn leaf_weights(&self) -> &[f32] {
        self.node.floats(if self.classifier { "class_weights" } else { "target_weights" })
    }

    fn labels(&self) -> Option<Labels> {
        if !self.classifier {
            return Some(Labels::None);
        }
        let (numbers, texts) = (self.node.ints("classlabels_int64s"), self.node.texts("classlabels_strings"));
        match (numbers.is_empty(), texts.is_empty()) {
            (false, true) => Some(Labels::Numbers(numbers.to_vec())),
            (true, false) => Some(Labels::Texts(texts.iter().map(|text| text.as_slice().into()).collect())),
            _ => None,
        }
    }

    /// What follows the trees, and how many sums they fill.
    fn head(&self, labels: &Labels) -> Option<(Head, usize)> {
        let transform = Transform::named(self.node.text("post_transform", "NONE"))?;
        let base = self.node.floats("base_values").to_vec();
        let ids = self.leaf_ints("ids");
        let (kind, sums) = if self.classifier {
            match labels.count() {
                2 if ids.iter().all(|id| *id == ids[0]) => {
                    let probability = self.leaf_weights().iter().all(|weight| *weight >= 0.0);
                    (Kind::Binary { probability }, 1)
                }
                classes @ 3.. => (Kind::Multiclass, classes),
                _ => return None,
            }
        } else {
            let sums = self.node.attribute("n_targets").map_or(1, |attribute| attribute.int);
            let summed = self.node.text("aggregate_function", "SUM") == b"SUM" && transform == Transform::None;
            (Kind::Regression, usize::try_from(sums).ok().filter(|&sums| sums > 0 && summed)?)
        };
        (base.is_empty() || base.len() == sums).then_some((Head { kind, transform, base }, sums))
    }

    /// Fills the forest with the trees.
    fn plant(&self, forest: &mut Forest) -> Option<()> {
        let node = self.node;
        let (tree_ids, node_ids) = (node.ints("nodes_treeids"), node.ints("nodes_nodeids"));
        let splits = Splits {
            features: node.ints("nodes_featureids"),
            thresholds: node.floats("nodes_values"),
            modes: node.texts("nodes_modes"),
            first: node.ints("nodes_truenodeids"),
            second: node.ints("nodes_falsenodeids"),
            missing_first: node.ints("nodes_missing_value_tracks_true"),
            width: forest.width,
        };
        splits.all_have(tree_ids.len(), node_ids.len())?;
        let leaves = self.leaves(forest.sums)?;
        let count = tree_ids.len();
        let mut from = 0;
        while from < count {
            let to = from + tree_ids[from..].iter().take_while(|id| **id == tree_ids[from]).count();
            let mut grower = Grower { splits: &splits, where_is: FxHashMap::default(), from };
            for (index, id) in node_ids[from..to].iter().enumerate() {
                if grower.where_is.insert(*id, from + index).is_some() {
                    return None;
                }
            }
            let tree_id = tree_ids[from];
            grower.grow(forest, &|node_id| leaves.get(&(tree_id, node_id)))?;
            from = to;
        }
        (!forest.trees.is_empty()).then_some(())
    }

    fn leaves(&self, sums: usize) -> Option<Leaves> {
        let (trees, nodes, ids) = (self.leaf_ints("treeids"), self.leaf_ints("nodeids"), self.leaf_ints("ids"));
        let weights = self.leaf_weights();
        if trees.len() != weights.len() || nodes.len() != weights.len() || ids.len() != weights.len() {
            return None;
        }
        let mut leaves = Leaves::default();
        for (((tree, node), id), weight) in trees.iter().zip(nodes).zip(ids).zip(weights) {
            // With one sum for two classes it does not matter which of them the weights name.
            let target = if sums == 1 { 0 } else { usize::try_from(*id).ok().filter(|&id| id < sums)? };
            leaves.entry((*tree, *node)).or_default().push((target, *weight));
        }
        Some(leaves)
    }
}

/// The attributes of all splits, one element a node.
struct Splits<'g> {
    features: &'g [i64],
    thresholds: &'g [f32],
    modes: &'g [Vec<u8>],
    first: &'g [i64],
    second: &'g [i64],
    /// Empty: a missing value compares false.
    missing_first: &'g [i64],
    width: usize,
}

impl Splits<'_> {
    fn all_have(&self, trees: usize, nodes: usize) -> Option<()> {
        let lengths =
            [self.features.len(), self.thresholds.len(), self.modes.len(), self.first.len(), self.second.len(), nodes];
        let missing = [0, trees].contains(&self.missing_first.len());
        (lengths.iter().all(|&length| length == trees) && missing).then_some(())
    }

    /// The node at `index`; None for what is not understood.
    fn read(&self, index: usize) -> Option<Part> {
        let threshold = match self.modes[index].as_slice() {
            b"LEAF" => return Some(Part::Leaf),
            b"BRANCH_LEQ" => self.thresholds[index],
            // Below t is up to the number before t.
            b"BRANCH_LT" if self.thresholds[index] > f32::NEG_INFINITY => self.thresholds[index].next_down(),
            _ => return None,
        };
        let mut feature = u16::try_from(self.features[index]).ok().filter(|&f| usize::from(f) < self.width)?;
        if self.missing_first.get(index).is_some_and(|&first| first != 0) {
            feature |= MISSING_FIRST;
        }
        Some(Part::Split(Node { threshold, feature, child: 0 }))
    }
}

/// Lays out one tree level by level, so that siblings are neighbours.
struct Grower<'s> {
    splits: &'s Splits<'s>,
    /// Index of each node of this tree, by its id.
    where_is: FxHashMap<i64, usize>,
    from: usize,
}

impl Grower<'_> {
    fn grow<'w>(&self, forest: &mut Forest, weights: &dyn Fn(i64) -> Option<&'w Weights>) -> Option<()> {
        let start = forest.nodes.len();
        let ids: FxHashMap<usize, i64> = self.where_is.iter().map(|(id, index)| (*index, *id)).collect();
        let (mut level, mut depth) = (vec![self.from], 0);
        let mut placed = 1;
        let mut targets = Vec::new();
        loop {
            let mut next = Vec::new();
            for &index in &level {
                let here = u16::try_from(forest.nodes.len() - start).ok()?;
                let sums = forest.values.len();
                forest.values.resize(sums + forest.sums, 0.0);
                if let Part::Split(split) = self.splits.read(index)? {
                    forest.nodes.push(Node { child: u16::try_from(placed).ok()?, ..split });
                    placed += 2;
                    next.push(*self.where_is.get(&self.splits.first[index])?);
                    next.push(*self.where_is.get(&self.splits.second[index])?);
                } else {
                    forest.nodes.push(Node { threshold: f32::INFINITY, feature: MISSING_FIRST, child: here });
                    for &(target, weight) in weights(*ids.get(&index)?).into_iter().flatten() {
                        forest.values[sums + target] += weight;
                        targets.push(target);
                    }
                }
            }
            // A graph with a circle in it would grow for ever.
            if forest.values.len() > MOST_VALUES || placed > self.where_is.len() {
                return None;
            }
            if next.is_empty() {
                break;
            }
            level = next;
            depth += 1;
        }
        targets.dedup();
        let target = if let [one] = targets[..] { Some(one) } else { None };
        forest.trees.push(Tree { start, end: forest.nodes.len(), depth, target });
        Some(())
    }
}
