//! A simulator written as the table that the loader reads: the same keys, and texts that it reads back exactly.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::words::{DIALECTS, HEADERS, NONE, ORGANISATION, RETRY_AFTER, word};
use super::{Draw, Faults, Life, LogNormal, Signals, SilentDrop, Simulator, Span, Stall, Timed};
use crate::quota::{Dimension, Model, Quota, Scope, Slow};
use crate::units::format::exact_duration;

impl Simulator {
    /// All parameters, also those that have their defaults, with the keys and the spelling of `[target.simulator]`: written
    /// as TOML and loaded again, it is the same simulator to the last bit.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({
            "dialect": word(&DIALECTS, self.dialect),
            "seed": self.seed,
            "conversations": self.conversations,
            "mismatched_roles": self.mismatched_roles.to_string(),
            "life": or_none(self.life.as_ref().map(life)),
            "clients": self.clients,
            "token_life": time(self.token_life),
            "static_token_life": or_none(self.static_token_life.map(time)),
            "logins": or_none(self.logins.map(|rate| rate.to_string())),
            "quota": or_none((!self.quotas.is_empty()).then(|| self.quotas.iter().map(quota).collect::<Value>())),
            "signals": signals(&self.signals),
            "latency": log_normal(self.latency),
            "visible_after": log_normal(self.visible_after),
            "body_timeout": time(self.body_timeout),
            "faults": faults(&self.faults),
            "truth": self.truth,
        })
    }
}

fn or_none(value: Option<impl Into<Value>>) -> Value {
    value.map_or_else(|| NONE.into(), Into::into)
}

fn time(time: Duration) -> Value {
    exact_duration(time).into()
}

fn log_normal(LogNormal { median, p99 }: LogNormal) -> Value {
    if median == p99 { time(median) } else { json!({ "median": time(median), "p99": time(p99) }) }
}

fn span(Span { min, max }: Span) -> Value {
    if min == max { time(min) } else { json!({ "min": time(min), "max": time(max) }) }
}

fn life(life: &Life) -> Value {
    json!({
        "share": life.share.to_string(),
        "draft": span(life.draft),
        "alerting": span(life.alerting),
        "connected": or_none(life.connected.map(span)),
        "known_after": time(life.known_after),
    })
}

fn signals(signals: &Signals) -> Value {
    json!({
        "retry_after": word(&RETRY_AFTER, signals.retry_after),
        "retry_after_factor": signals.retry_after_factor.0,
        "headers": word(&HEADERS, signals.headers),
    })
}

fn quota(quota: &Quota) -> Value {
    let limiter = &quota.limiter;
    let mut table = model(limiter.model);
    table.extend([
        ("name".to_owned(), quota.name.as_str().into()),
        ("per".to_owned(), scope(quota.scope)),
        ("cost".to_owned(), quota.cost.name().into()),
        ("counts_refused".to_owned(), limiter.counts_refused.into()),
        ("penalty".to_owned(), time(limiter.penalty)),
        ("slow".to_owned(), or_none(limiter.slow.map(slow))),
    ]);
    if limiter.penalty_extends {
        table.insert("penalty_extends".to_owned(), true.into());
    }
    Value::Object(table)
}

/// The model and its parameters.
fn model(model: Model) -> Map<String, Value> {
    let rate = model.rate().map(|rate| ("rate", rate.to_string().into()));
    let other = match model {
        Model::FirstRequestWindow { .. }
        | Model::ClockWindow { .. }
        | Model::SlidingLog { .. }
        | Model::SlidingCounter { .. }
        | Model::FlooredCounter { .. }
        | Model::AnchoredCounter { .. } => None,
        Model::TokenBucket { burst, .. }
        | Model::TickingBucket { burst, .. }
        | Model::Gcra { burst, .. }
        | Model::LeakyMeter { burst, .. }
        | Model::LeakyQueue { burst, .. } => Some(("burst", Value::from(burst.get()))),
        Model::Concurrency { limit } => Some(("limit", limit.get().into())),
    };
    let tick = match model {
        Model::TickingBucket { tick, .. } => Some(("tick", time(tick))),
        _ => None,
    };
    let entries = [Some(("model", model.name().into())), rate, other, tick];
    entries.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn scope(scope: Scope) -> Value {
    let words: Vec<_> = scope.dimensions().map(Dimension::name).collect();
    match words.as_slice() {
        [] => ORGANISATION.into(),
        [one] => (*one).into(),
        several => several.into(),
    }
}

fn slow(Slow { by, most }: Slow) -> Value {
    json!({ "by": time(by), "most": time(most) })
}

fn faults(faults: &Faults) -> Value {
    json!({
        "reset": draw(faults.reset),
        "cut": draw(faults.cut),
        "stall": or_none(faults.stall.map(stall)),
        "drop": drop(faults.drop),
        "revert": timed(faults.revert),
        "lost_update": draw(faults.lost_update),
        "applied_500": draw(faults.applied_500),
        "applied_timeout": timed(faults.applied_timeout),
        "stale_read": draw(faults.stale_read),
        "duplicate": draw(faults.duplicate),
        "slow_body": timed(faults.slow_body),
        "html_503": draw(faults.html_503),
        "empty_503": draw(faults.empty_503),
        "json_503": draw(faults.json_503),
        "conflict_409": draw(faults.conflict_409),
        "wrong_length": draw(faults.wrong_length),
        "early_expiry": timed(faults.early_expiry),
    })
}

/// A share alone says that its draws follow the simulator's seed.
fn draw(draw: Draw) -> Value {
    match draw.seed {
        None => draw.share.to_string().into(),
        Some(_) => Value::Object(draw_table(draw, None)),
    }
}

fn timed(Timed { draw, time: length }: Timed) -> Value {
    Value::Object(draw_table(draw, Some(("for", time(length)))))
}

fn drop(SilentDrop { draw: drawn, status }: SilentDrop) -> Value {
    match status {
        None => draw(drawn),
        Some(status) => Value::Object(draw_table(drawn, Some(("status", status.into())))),
    }
}

fn draw_table(draw: Draw, more: Option<(&str, Value)>) -> Map<String, Value> {
    let entries = [Some(("share", draw.share.to_string().into())), draw.seed.map(|seed| ("seed", seed.into())), more];
    entries.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn stall(Stall { every, length }: Stall) -> Value {
    json!({ "every": time(every), "for": time(length) })
}
