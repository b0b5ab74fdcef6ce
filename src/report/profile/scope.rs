//! Who shares a quota, in words.

use crate::profile::{Dimension, Profile, Shared, Sharing};

/// What is known of who shares the quota of one limiter.
pub(super) struct Shares<'a> {
    profile: &'a Profile,
    tier: usize,
}

impl<'a> Shares<'a> {
    pub(super) fn of(profile: &'a Profile, tier: usize) -> Self {
        Self { profile, tier }
    }

    /// What makes a difference by itself, makes none, or may.
    fn dimensions(&self, wanted: Shared) -> Vec<Dimension> {
        const ALL: [Dimension; 4] = [Dimension::Token, Dimension::Client, Dimension::Resource, Dimension::Method];
        let is_wanted = |dimension: &Dimension| self.profile.shared(self.tier, *dimension) == Some(wanted);
        ALL.into_iter().filter(is_wanted).collect()
    }

    /// What follows a quota: ` of each token`, or nothing.
    pub(super) fn phrase(&self) -> String {
        match self.dimensions(Shared::No).as_slice() {
            [] => String::new(),
            own => format!(" of each {}", list(own, "and")),
        }
    }

    /// A clause about what shares it and what is not known; `None` where nothing was tried.
    pub(super) fn clause(&self) -> Option<String> {
        let [own, shared, unclear] = [Shared::No, Shared::Yes, Shared::Unclear].map(|wanted| self.dimensions(wanted));
        let mut clauses = Vec::new();
        if !own.is_empty() {
            clauses.push(format!("each {} has a quota of its own", list(&own, "and")));
        }
        if !shared.is_empty() {
            clauses.push(format!("another {} shares it", list(&shared, "or")));
        }
        if !unclear.is_empty() {
            clauses.push(format!("whether another {} shares it is unclear", list(&unclear, "or")));
        }
        (!clauses.is_empty()).then(|| clauses.join("; "))
    }

    /// What each key that was tried did, a line each.
    pub(super) fn evidence(&self) -> impl Iterator<Item = String> {
        self.profile.sharing(self.tier).map(|(key, sharing)| {
            let said = match sharing.shared() {
                Shared::Yes => "shares the quota",
                Shared::No => "has a quota of its own",
                Shared::Unclear => "is unclear",
            };
            let Sharing { refused, admitted, controls, strange, .. } = sharing;
            let (exhausted, others) = (refused + admitted, controls + strange);
            format!(
                "{} {said}: {admitted} of {exhausted} admitted while the quota was used up, {controls} of {others} while \
                 it was not",
                key.label
            )
        })
    }
}

/// `token`, `token and resource`, `token, client and resource`.
fn list(dimensions: &[Dimension], joint: &str) -> String {
    let word = |dimension: &Dimension| match dimension {
        Dimension::Token => "token",
        Dimension::Client => "client",
        Dimension::Resource => "resource",
        Dimension::Method => "method or path",
    };
    let words: Vec<_> = dimensions.iter().map(word).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} {joint} {last}", most.join(", ")),
    }
}
