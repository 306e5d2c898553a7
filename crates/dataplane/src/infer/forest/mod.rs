//! Tree ensembles, run here: a forest gives the answers of ONNX Runtime (that is checked when it is made) for a fraction
//! of the time, because it need not build a session's call for each batch and walks several rows at once.
//!
//! Immutable, so that all threads share one.

mod compile;
mod head;
mod probe;
mod walk;

use crate::error::{Code, Error, Result};
use crate::tensor::{Data, Datatype, Tensor};
use crate::wire::bundle::Signature;

use super::onnx::OnnxSession;
use head::Head;
use walk::{LANES, Node, Tree, leaves, leaves_of_row};

/// So many rows or fewer are walked one by one: a block costs as much however many of its rows count.
const LONE_ROWS: usize = 3;

fn any_missing(values: &[f32]) -> bool {
    values.iter().any(|value| value.is_nan())
}

/// The class labels of the graph.
#[derive(Debug)]
enum Labels {
    None,
    Numbers(Vec<i64>),
    Texts(Vec<Box<[u8]>>),
}

impl Labels {
    fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Numbers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }
}

/// What an output of the graph is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Label,
    /// Times `factor`.
    Scores {
        factor: f32,
    },
}

#[derive(Debug)]
struct Output {
    source: Source,
    datatype: Datatype,
    shape: Vec<i64>,
}

/// A compiled ensemble.
#[derive(Debug)]
pub struct Forest {
    nodes: Vec<Node>,
    /// `sums` for each node; only those of leaves are read.
    values: Vec<f32>,
    trees: Vec<Tree>,
    /// Sums that a row fills.
    sums: usize,
    /// Values in a row.
    width: usize,
    head: Head,
    labels: Labels,
    outputs: Vec<Output>,
}

/// Labels' indices and scores of a batch.
struct Finished {
    labels: Vec<usize>,
    scores: Vec<f32>,
    /// Scores that a row has.
    width: usize,
}

impl Forest {
    /// The forest of an ONNX file, if the file is a tree ensemble and `reference`, its session, gives the same answers on
    /// rows made to meet every kind of split. Says nothing where it does not: the session then runs the model.
    pub fn equal_to(reference: &mut OnnxSession, model: &[u8], signature: &Signature) -> Option<Self> {
        let forest = compile::compile(model, signature)?;
        match probe::largest_difference(&forest, reference) {
            Ok(difference) if difference <= probe::TOLERANCE => Some(forest),
            Ok(difference) => {
                tracing::warn!(difference, "the tree ensemble is run by ONNX Runtime: answers differ");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the tree ensemble is run by ONNX Runtime");
                None
            }
        }
    }

    /// Runs one batch; the outputs are in the order of the signature.
    ///
    /// Errors: `model_failed` where the input is not one float32 matrix of the model's width.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let [Tensor { dims, data: Data::Fp32(rows), .. }] = inputs else {
            return Err(Error::new(Code::ModelFailed, "the model takes one FP32 matrix"));
        };
        let &[count, width] = &dims[..] else {
            return Err(Error::new(Code::ModelFailed, format!("the model takes a matrix, got {dims:?}")));
        };
        if width != self.width || rows.len() != count * width {
            let message = format!("the model takes {} values a row, got {width}", self.width);
            return Err(Error::new(Code::ModelFailed, message));
        }
        let finished = self.finish(self.sum(rows, count));
        Ok(self.outputs.iter().map(|output| self.output(output, &finished)).collect())
    }

    /// The sums of `count` rows.
    fn sum(&self, rows: &[f32], count: usize) -> Vec<f32> {
        let mut sums = vec![0.0; count * self.sums];
        let beside = if count % LANES > LONE_ROWS { count } else { count - count % LANES };
        let (blocks, lone) = rows.split_at(beside * self.width);
        let (block_sums, lone_sums) = sums.split_at_mut(beside * self.sums);
        self.sum_blocks(blocks, block_sums);
        for (row, sums) in lone.chunks_exact(self.width).zip(lone_sums.chunks_exact_mut(self.sums)) {
            self.sum_row(row, sums);
        }
        sums
    }

    /// Adds up rows in blocks: tree after tree, so that a tree stays in the cache while all rows go through it.
    fn sum_blocks(&self, rows: &[f32], sums: &mut [f32]) {
        let (blocks, rest) = rows.split_at(rows.len() - rows.len() % (LANES * self.width));
        // The last rows are a block too, filled up with zeros that nobody looks at.
        let mut last = Vec::new();
        if !rest.is_empty() {
            last = rest.to_vec();
            last.resize(LANES * self.width, 0.0);
        }
        let blocks = || blocks.chunks_exact(LANES * self.width).chain((!last.is_empty()).then_some(&last[..]));
        let missing: Vec<bool> = blocks().map(any_missing).collect();
        for tree in &self.trees {
            let nodes = &self.nodes[tree.start..tree.end];
            for ((block, missing), sums) in blocks().zip(&missing).zip(sums.chunks_mut(LANES * self.sums)) {
                let found = if *missing {
                    leaves::<true>(nodes, tree.depth, block, self.width)
                } else {
                    leaves::<false>(nodes, tree.depth, block, self.width)
                };
                for (leaf, sums) in found.into_iter().zip(sums.chunks_exact_mut(self.sums)) {
                    self.add(tree, leaf, sums);
                }
            }
        }
    }

    fn sum_row(&self, row: &[f32], sums: &mut [f32]) {
        let missing = any_missing(row);
        for trees in self.trees.chunks(LANES) {
            let found = if missing {
                leaves_of_row::<true>(&self.nodes, trees, row)
            } else {
                leaves_of_row::<false>(&self.nodes, trees, row)
            };
            for (leaf, tree) in found.into_iter().zip(trees) {
                self.add(tree, leaf, sums);
            }
        }
    }

    /// Adds the values of a leaf to the sums of one row.
    fn add(&self, tree: &Tree, leaf: u16, sums: &mut [f32]) {
        let values = &self.values[(tree.start + usize::from(leaf)) * self.sums..][..self.sums];
        if let Some(target) = tree.target {
            sums[target] += values[target];
        } else {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }

    fn finish(&self, mut sums: Vec<f32>) -> Finished {
        let width = self.head.scores(self.sums);
        let count = sums.len() / self.sums;
        let mut scores = Vec::with_capacity(count * width);
        let labels = sums.chunks_exact_mut(self.sums).map(|sums| self.head.finish(sums, &mut scores)).collect();
        Finished { labels, scores, width }
    }

    fn output(&self, output: &Output, finished: &Finished) -> Tensor {
        let (width, data) = match output.source {
            Source::Label => (1, self.label_data(output.datatype, &finished.labels)),
            Source::Scores { factor } => {
                let scores = finished.scores.iter().map(|score| score * factor).collect();
                (finished.width, Data::Fp32(scores))
            }
        };
        let rows = finished.labels.len();
        let dims = if output.shape.len() == 1 { vec![rows] } else { vec![rows, width] };
        Tensor { dims, data, missing: Vec::new() }
    }

    fn label_data(&self, datatype: Datatype, labels: &[usize]) -> Data {
        match (&self.labels, datatype) {
            (Labels::Numbers(known), Datatype::Int64) => {
                Data::Int64(labels.iter().map(|&label| known[label]).collect())
            }
            (Labels::Texts(known), Datatype::Bytes) => {
                Data::Bytes(labels.iter().map(|&label| known[label].clone()).collect())
            }
            // `probe` would have found it.
            _ => Data::with_capacity(datatype, 0),
        }
    }
}
