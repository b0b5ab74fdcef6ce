//! What a quota is of: its name, what has a state of its own, what a request costs.

use std::fmt;

use super::Limiter;

/// A quota as a server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Its name, in headers and in the truth: one or more of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// The rule.
    pub limiter: Limiter,
    /// What has a state of its own.
    pub scope: Scope,
    /// What a request costs.
    pub cost: Cost,
}

/// The dimensions that a quota's key is made of: requests that are alike in all of them share a state. Without any, all
/// requests of the organisation do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set: each subset of the dimensions makes sense")]
pub struct Scope {
    /// Each token.
    pub token: bool,
    /// Each client, whatever its tokens.
    pub client: bool,
    /// Each address that requests come from.
    pub address: bool,
    /// Each conversation.
    pub resource: bool,
}

/// A dimension of a [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Each token.
    Token,
    /// Each client.
    Client,
    /// Each address.
    Address,
    /// Each conversation.
    Resource,
}

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cost {
    /// 1, whatever it holds.
    #[default]
    Request,
    /// The number of attributes that it changes, at least 1.
    Attributes,
    /// The bytes of its body, at least 1.
    Bytes,
}

impl Scope {
    /// The scope of these dimensions.
    pub fn of(dimensions: impl IntoIterator<Item = Dimension>) -> Self {
        dimensions.into_iter().fold(Self::default(), |mut scope, dimension| {
            match dimension {
                Dimension::Token => scope.token = true,
                Dimension::Client => scope.client = true,
                Dimension::Address => scope.address = true,
                Dimension::Resource => scope.resource = true,
            }
            scope
        })
    }

    /// Its dimensions, always in the same order.
    pub fn dimensions(self) -> impl Iterator<Item = Dimension> {
        let all = [
            (self.token, Dimension::Token),
            (self.client, Dimension::Client),
            (self.address, Dimension::Address),
            (self.resource, Dimension::Resource),
        ];
        all.into_iter().filter_map(|(is_in, dimension)| is_in.then_some(dimension))
    }
}

impl Dimension {
    /// Its name, in scenarios, the truth and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Client => "client",
            Self::Address => "address",
            Self::Resource => "resource",
        }
    }
}

impl Cost {
    /// Its name, in scenarios, the truth and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Attributes => "attributes",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for Scope {
    /// The names of its dimensions, `token+resource`; without any, `organisation`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.dimensions().map(Dimension::name).collect();
        if names.is_empty() { f.write_str("organisation") } else { f.write_str(&names.join("+")) }
    }
}

impl fmt::Display for Quota {
    /// One line: `per-user: 300/min fixed-window, per token+resource, cost in bytes`; the usual cost goes without
    /// saying.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, per {}", self.name, self.limiter, self.scope)?;
        match self.cost {
            Cost::Request => Ok(()),
            cost => write!(f, ", cost in {}", cost.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Model;

    #[test]
    fn dimensions_come_back_in_one_order_and_once() {
        let scope = Scope::of([Dimension::Resource, Dimension::Token, Dimension::Resource]);
        assert_eq!(scope.dimensions().collect::<Vec<_>>(), [Dimension::Token, Dimension::Resource]);
        assert_eq!(Scope::of(scope.dimensions()), scope);
        assert_eq!((scope.to_string(), Scope::default().to_string()), ("token+resource".into(), "organisation".into()));
    }

    #[test]
    fn a_quota_is_one_readable_line() {
        let limiter = Limiter::new(Model::SlidingLog { rate: "300/min".parse().unwrap() });
        let quota = Quota { name: "org".to_owned(), limiter, scope: Scope::default(), cost: Cost::Request };
        assert_eq!(quota.to_string(), "org: 300/min sliding-log, per organisation");
        let scope = Scope::of([Dimension::Client, Dimension::Address]);
        let quota = Quota { scope, cost: Cost::Bytes, ..quota };
        assert_eq!(quota.to_string(), "org: 300/min sliding-log, per client+address, cost in bytes");
    }
}
