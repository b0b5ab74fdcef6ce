//! What a simulator is, in lines for people.

use std::fmt;

use super::quota_use::line;
use super::words::{DIALECTS, word};
use super::{Draw, Faults, Life, LogNormal, QuotaHeaders, RetryAfter, Signals, Simulator, Span, Stall, Timed};
use crate::units::Share;
use crate::units::format::{count, exact_duration};

impl fmt::Display for Simulator {
    /// What it is, what it admits and what goes wrong with it, without what is as usual.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "simulator    dialect {}, seed {}", word(&DIALECTS, self.dialect), self.seed)?;
        write!(f, "population   {} conversations, two participants each", count(u64::from(self.conversations)))?;
        if self.mismatched_roles > Share::NONE {
            write!(f, ", {} of them in another role than their data row says", self.mismatched_roles)?;
        }
        match &self.life {
            Some(life) => write!(f, "\nlife         {}", life_line(life))?,
            None => write!(f, "\nlife         connected from start to end")?,
        }
        write!(
            f,
            "\nclients      {}, tokens live {}",
            count(u64::from(self.clients)),
            exact_duration(self.token_life)
        )?;
        if let Some(life) = self.static_token_life {
            write!(f, ", the token without a login {}", exact_duration(life))?;
        }
        match self.logins {
            Some(rate) => write!(f, "\nlogins       {rate} for each client")?,
            None => write!(f, "\nlogins       as many as each client likes")?,
        }
        if self.quotas.is_empty() {
            write!(f, "\nquota        none")?;
        }
        for quota in &self.quotas {
            write!(f, "\nquota        {}", line(quota))?;
        }
        write!(f, "\nsignals      {}", signals_line(&self.signals))?;
        write!(f, "\nlatency      {}", log_normal_line(self.latency))?;
        write!(f, "\nvisible      {} after the answer", log_normal_line(self.visible_after))?;
        let faults = fault_lines(&self.faults);
        if faults.is_empty() {
            write!(f, "\nfaults       none")?;
        }
        for fault in faults {
            write!(f, "\nfault        {fault}")?;
        }
        match self.truth {
            0 => write!(f, "\ntruth        off"),
            requests => write!(f, "\ntruth        the latest {} requests", count(u64::from(requests))),
        }
    }
}

fn log_normal_line(LogNormal { median, p99 }: LogNormal) -> String {
    if median == p99 {
        return exact_duration(median);
    }
    format!("median {}, p99 {}", exact_duration(median), exact_duration(p99))
}

fn span_line(Span { min, max }: Span) -> String {
    if min == max { exact_duration(min) } else { format!("{} to {}", exact_duration(min), exact_duration(max)) }
}

fn life_line(life: &Life) -> String {
    let end = life.connected.map_or_else(|| "to the end".to_owned(), span_line);
    format!(
        "{} of conversations: draft {}, alerting {}, connected {end}; known {} after they connect",
        life.share,
        span_line(life.draft),
        span_line(life.alerting),
        exact_duration(life.known_after),
    )
}

fn signals_line(signals: &Signals) -> String {
    let factor = signals.retry_after_factor.0;
    let wrong =
        if factor.to_bits() == 1.0_f64.to_bits() { String::new() } else { format!(", wrong by the factor {factor}") };
    let retry_after = match signals.retry_after {
        RetryAfter::Seconds => format!("Retry-After in seconds{wrong}"),
        RetryAfter::Date => format!("Retry-After as a date{wrong}"),
        RetryAfter::Missing => "no Retry-After".to_owned(),
    };
    match signals.headers {
        QuotaHeaders::None => retry_after,
        QuotaHeaders::RateLimit => format!("{retry_after}; RateLimit and RateLimit-Policy"),
        QuotaHeaders::XRateLimit => format!("{retry_after}; X-RateLimit-Limit, -Remaining and -Reset"),
    }
}

/// The faults that can happen, one line each.
fn fault_lines(faults: &Faults) -> Vec<String> {
    let stall = faults.stall.map(|Stall { every, length }| {
        format!("all answers stall for {} every {}", exact_duration(length), exact_duration(every))
    });
    let status = faults.drop.status.map_or_else(|| "a success".to_owned(), |status| status.to_string());
    let drop = format!("answered with {status}, but never applied");
    let drawn = [
        (faults.reset, "reset before the answer"),
        (faults.cut, "reset in the middle of the answer"),
        (faults.drop.draw, drop.as_str()),
        (faults.lost_update, "lose what others wrote in between"),
        (faults.applied_500, "applied, but answered with 500"),
        (faults.stale_read, "read what was before the last change"),
        (faults.duplicate, "count again when they are repeated"),
        (faults.html_503, "answered with 503 and a page of HTML"),
        (faults.empty_503, "answered with 503 and no body"),
        (faults.json_503, "answered with 503 by the API"),
        (faults.conflict_409, "of writes refused with 409"),
        (faults.wrong_length, "answered with a wrong Content-Length"),
    ];
    let timed = [
        (faults.revert, "undone after"),
        (faults.applied_timeout, "applied, but answered with 504 after"),
        (faults.slow_body, "answered with a body that takes"),
        (faults.early_expiry, "of logins give a token that expires after"),
    ];
    let drawn = drawn.iter().filter_map(|(draw, what)| drawn_line(*draw, what));
    let timed = timed
        .iter()
        .filter_map(|(Timed { draw, time }, what)| drawn_line(*draw, &format!("{what} {}", exact_duration(*time))));
    stall.into_iter().chain(drawn).chain(timed).collect()
}

/// `None` for what never happens.
fn drawn_line(draw: Draw, what: &str) -> Option<String> {
    let seed = draw.seed.map(|seed| format!(" (seed {seed})")).unwrap_or_default();
    (draw.share > Share::NONE).then(|| format!("{} {what}{seed}", draw.share))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn outline(text: &str) -> String {
        Simulator::parse(Path::new("simulator.toml"), text.as_bytes(), &|_| None).unwrap().to_string()
    }

    #[test]
    fn the_default_has_no_line_too_many() {
        assert_eq!(
            outline(""),
            "simulator    dialect documented, seed 1\n\
             population   1,000 conversations, two participants each\n\
             life         connected from start to end\n\
             clients      1, tokens live 24h\n\
             logins       300/min for each client\n\
             quota        300/min for each token\n\
             signals      Retry-After in seconds\n\
             latency      median 20ms, p99 80ms\n\
             visible      200ms after the answer\n\
             faults       none\n\
             truth        the latest 100,000 requests"
        );
    }

    #[test]
    fn everything_that_is_set_is_told() {
        let text = r#"
            mismatched_roles = "12%"
            life = { share = "20%", draft = "2s", alerting = { min = "1s", max = "3s" }, known_after = "1s" }
            clients = 3
            static_token_life = "10s"
            logins = "none"
            signals = { retry_after = "date", retry_after_factor = 0.5, headers = "x-ratelimit" }
            latency = "5ms"
            quota = [
                { model = "token-bucket", rate = "10/s", burst = 20, per = ["client", "resource"], penalty = "5s" },
                { name = "busy", model = "concurrency", limit = 8, per = "organisation", cost = "bytes" },
            ]
            truth = 0
            [faults]
            reset = "1%"
            drop = { share = "2%", status = 204, seed = 7 }
            revert = { share = "3%", for = "2s" }
            stall = { every = "10s", for = "200ms" }
        "#;
        assert_eq!(
            outline(text),
            "simulator    dialect documented, seed 1\n\
             population   1,000 conversations, two participants each, 12% of them in another role than their data row says\n\
             life         20% of conversations: draft 2s, alerting 1s to 3s, connected to the end; known 1s after they connect\n\
             clients      3, tokens live 24h, the token without a login 10s\n\
             logins       as many as each client likes\n\
             quota        token-bucket: 10/s token-bucket, burst 20, penalty 5s, per client+resource\n\
             quota        busy: concurrency 8, per organisation, cost in bytes\n\
             signals      Retry-After as a date, wrong by the factor 0.5; X-RateLimit-Limit, -Remaining and -Reset\n\
             latency      5ms\n\
             visible      200ms after the answer\n\
             fault        all answers stall for 200ms every 10s\n\
             fault        1% reset before the answer\n\
             fault        2% answered with 204, but never applied (seed 7)\n\
             fault        3% undone after 2s\n\
             truth        off"
        );
    }
}
