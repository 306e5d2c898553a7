//! Which variant answers: a unit's hash under the rollout's salt says so, the same on every replica, and whoever is in
//! at a small share is in at every larger one.
//!
//! The hash is `BLAKE2b` with eight bytes of digest and the salt as its key, so that anybody can recompute an assignment.

use std::sync::Arc;

use crate::arms::{Arm, Shadow};
use crate::slices::Columns;
use crate::wire::snapshot::{self, Role};

/// A share of the hash space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Hashes below this one.
    Below(u64),
    All,
}

impl Share {
    /// The share as a part of one.
    pub fn new(part: f64) -> Self {
        if part >= 1.0 {
            return Self::All;
        }
        // 2^64 as a float is exact, and so is its product with a float below one, cut to whole numbers.
        Self::Below((part.max(0.0) * 18_446_744_073_709_551_616.0) as u64)
    }

    /// Whether a hash lies in it.
    pub fn holds(self, hash: u64) -> bool {
        match self {
            Self::Below(bound) => hash < bound,
            Self::All => true,
        }
    }

    /// Where the matched control begins, which goes on to the last hash: as many hashes as the share's, and none of
    /// them; None: there is no control.
    pub fn control(self) -> Option<u64> {
        match self {
            Self::Below(0) | Self::All => None,
            // 2^64 - bound lies inside the share where that is above a half: then all others are the control.
            Self::Below(bound) => Some(bound.max(bound.wrapping_neg())),
        }
    }
}

/// The hash of a unit under a salt of 1 to 64 bytes.
pub fn hash(salt: &str, unit: &str) -> u64 {
    let digest = blake2b_simd::Params::new().hash_length(8).key(salt.as_bytes()).hash(unit.as_bytes());
    digest.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The variant that a caller names in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish<'a> {
    Role(Role),
    Version(&'a str),
}

impl<'a> Wish<'a> {
    /// From the text of the header: a role, or else a version.
    pub fn read(text: &'a str) -> Self {
        match text {
            "champion" => Self::Role(Role::Champion),
            "challenger" => Self::Role(Role::Challenger),
            "shadow" => Self::Role(Role::Shadow),
            version => Self::Version(version),
        }
    }
}

/// How one endpoint's requests are shared out on this replica; indices are those of its variants.
#[derive(Debug)]
pub struct Routing {
    pub salt: Box<str>,
    pub epoch: u64,
    /// Index of the challenger, and its share here: none where this replica's region is not among the plan's.
    pub challenger: Option<(usize, Share)>,
    /// Index of the shadow, and the share of requests that it sees too.
    pub shadow: Option<(usize, Share)>,
    /// Testers may name a variant.
    pub wishes: bool,
    /// What each variant's answers are counted in during this epoch; by index.
    pub arms: Vec<Arc<Arm>>,
    /// Those of the champion's units that the challenger's are compared with, where that is not all of them.
    pub control: Option<Control>,
    /// What the shadow's answers are counted in, where there is one.
    pub compared: Option<Arc<Shadow>>,
    /// By which columns units are counted besides.
    pub columns: Arc<Columns>,
}

/// A matched control.
#[derive(Debug)]
pub struct Control {
    /// Index of the variant.
    pub champion: usize,
    /// Its first hash.
    pub from: u64,
    pub arm: Arc<Arm>,
}

/// What an endpoint's answers are counted in.
#[derive(Debug, Default)]
pub struct Counts {
    /// One for each variant.
    pub arms: Vec<Arc<Arm>>,
    /// Index of the champion, and the arm of its matched units, where these are wanted.
    pub matched: Option<(usize, Arc<Arm>)>,
    pub compared: Option<Arc<Shadow>>,
    pub columns: Arc<Columns>,
}

impl Routing {
    /// Compiles the routing of an endpoint; None where a version that it names is not among the variants, with its name.
    pub fn new(
        spec: &snapshot::Routing,
        variants: &[snapshot::Variant],
        region: Option<&str>,
        counts: Counts,
    ) -> Result<Self, String> {
        let find = |version: &Option<String>| -> Result<Option<usize>, String> {
            let Some(version) = version else { return Ok(None) };
            let at = variants.iter().position(|variant| variant.version == *version);
            at.map(Some).ok_or_else(|| format!("routing names version {version}, which the endpoint does not have"))
        };
        let here =
            spec.regions.as_ref().is_none_or(|regions| region.is_some_and(|own| regions.iter().any(|r| r == own)));
        let challenger = find(&spec.challenger)?.filter(|_| here).map(|index| (index, Share::new(spec.share)));
        let shadow = find(&spec.shadow)?.map(|index| (index, Share::new(spec.shadow_share)));
        let Counts { arms, matched, compared, columns } = counts;
        let from = challenger.and_then(|(_, share)| share.control());
        let control = matched.zip(from).map(|((champion, arm), from)| Control { champion, from, arm });
        let salt = spec.salt.as_str().into();
        Ok(Self { salt, epoch: spec.epoch, challenger, shadow, wishes: spec.wishes, arms, control, compared, columns })
    }

    /// What an answer of variant `index` to a unit of this hash is counted in. A row of no unit among rows that have one
    /// was not divided by chance: it has no hash, and is never part of a control.
    pub fn arm(&self, index: usize, hash: Option<u64>) -> &Arm {
        let control = self.control.as_ref().filter(|control| control.champion == index);
        match control {
            Some(control) if hash.is_some_and(|hash| hash >= control.from) => &control.arm,
            _ => &self.arms[index],
        }
    }

    /// Index of the variant that answers a unit of this hash.
    pub fn variant(&self, hash: u64, champion: usize) -> usize {
        self.challenger.filter(|(_, share)| share.holds(hash)).map_or(champion, |(index, _)| index)
    }

    /// Index of the shadow that sees the request with this random number, too.
    pub fn shadow(&self, random: u64) -> Option<usize> {
        self.shadow.filter(|(_, share)| share.holds(random)).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_blake2b_with_the_salt_as_key() {
        // Python: int.from_bytes(hashlib.blake2b(b"card-17", digest_size=8, key=b"salt").digest(), "little")
        assert_eq!(hash("salt", "card-17"), 17_825_537_492_534_615_108);
    }

    /// The vectors are the control plane's too.
    #[test]
    fn assignments_are_those_of_the_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/vectors/assignment.json");
        let text = std::fs::read_to_string(path).expect("the vectors");
        let vectors: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let list = |name: &str| vectors[name].as_array().expect("a list").clone();
        let number = |value: &serde_json::Value| value.as_str().expect("text").parse::<u128>().expect("a number");
        for limit in list("limits") {
            let share = Share::new(limit["share"].as_f64().expect("a share"));
            let wanted = number(&limit["limit"]);
            let bound = if let Share::Below(bound) = share { u128::from(bound) } else { 1 << 64 };
            assert_eq!(bound, wanted, "{limit}");
            let control = share.control().map_or(1 << 64, u128::from);
            assert_eq!(control, number(&limit["control_from"]), "{limit}");
        }
        for unit in list("units") {
            let text = |name: &str| unit[name].as_str().expect("text").to_owned();
            let place = hash(&text("salt"), &text("unit"));
            assert_eq!(u128::from(place), number(&unit["place"]), "{unit}");
            let inside = unit["challenger_at"].as_array().expect("a list");
            let controls = unit["control_at"].as_array().expect("a list");
            for share in list("shares") {
                let own = Share::new(share.as_f64().expect("a share"));
                assert_eq!(own.holds(place), inside.contains(&share), "{unit} at {share}");
                let control = own.control().is_some_and(|from| place >= from);
                assert_eq!(control, controls.contains(&share), "{unit} as a control at {share}");
            }
        }
    }

    proptest! {
        #[test]
        fn who_is_in_at_a_small_share_is_in_at_every_larger_one(unit: String, a in 0.0..=1.0_f64, b in 0.0..=1.0_f64) {
            let hash = hash("rollout-1", &unit);
            let (small, large) = (Share::new(a.min(b)), Share::new(a.max(b)));
            prop_assert!(!small.holds(hash) || large.holds(hash));
        }

        #[test]
        fn the_control_is_as_large_as_the_share_and_grows_with_it_to_a_half(hash: u64, a in 0.0..=1.0_f64, b in 0.0..=1.0_f64) {
            let within = |part: f64| Share::new(part).control().is_some_and(|from| hash >= from);
            prop_assert!(!(within(a) && Share::new(a).holds(hash)));
            let (small, large) = (a.min(b), a.max(b));
            if large <= 0.5 {
                prop_assert!(!within(small) || within(large));
                prop_assert_eq!(within(large), large > 0.0 && Share::new(large).holds(u64::MAX - hash));
            } else {
                prop_assert_eq!(within(large), !Share::new(large).holds(hash), "all that is left");
            }
        }

        #[test]
        fn a_share_of_nothing_holds_nobody_and_the_whole_holds_all(hash: u64) {
            prop_assert!(!Share::new(0.0).holds(hash));
            prop_assert!(Share::new(1.0).holds(hash));
        }
    }

    /// Chi-square with one degree of freedom stays below 10.8 with probability 0.999; the units are fixed, so this
    /// passes for ever or never.
    #[test]
    fn the_split_is_the_share() {
        const UNITS: u32 = 1_000_000;
        for part in [0.05, 0.25, 0.5] {
            let share = Share::new(part);
            let inside = (0..UNITS).filter(|unit| share.holds(hash("split", &format!("unit-{unit}")))).count() as f64;
            let wanted = f64::from(UNITS) * part;
            let chi_square = (inside - wanted).powi(2) / (wanted * (1.0 - part));
            assert!(chi_square < 10.8, "{inside} of {wanted} expected: {chi_square}");
        }
    }

    #[test]
    fn another_salt_is_another_draw() {
        let share = Share::new(0.5);
        let both = (0..1_000)
            .filter(|unit| {
                let unit = unit.to_string();
                share.holds(hash("one", &unit)) && share.holds(hash("two", &unit))
            })
            .count();
        assert!((200..300).contains(&both), "{both}");
    }
}
