//! Local ports: every connection has one, and a connection that we closed keeps its port for a while.
//!
//! A server sees only that nothing comes any more; the run sees attempts that break before they are sent. All ports
//! here are those of connections to one address, because connections to different ones may share a port.

use std::time::Duration;

use crate::judge::Demand;
use crate::measure::Totals;
use crate::scenario::{Connections, Endpoint, Load, Scenario, Schedule, Target};
use crate::units::format::{count, duration};

/// For so long Linux keeps the port of a connection that we closed first: its `TCP_TIMEWAIT_LEN`.
const TIME_WAIT: Duration = Duration::from_mins(1);

/// After so long Linux gives such a port to a new connection where `net.ipv4.tcp_tw_reuse` lets it, which by default it
/// does within a machine.
const REUSED_AFTER: Duration = Duration::from_secs(1);

/// The ports that connections to one address may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    /// There are so many.
    available: u64,
    /// For so long a closed connection keeps its own.
    kept_for: Duration,
}

/// Where connections are opened to, as far as ports go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    ThisMachine,
    Elsewhere,
}

impl Ports {
    /// What this machine has for connections to the scenario's target, or to its proxy; `None` where the system does not tell.
    pub(super) fn of(scenario: &Scenario) -> Option<Self> {
        let setting = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok();
        let place = place(&scenario.target);
        let ports = Self::read(&setting("ip_local_port_range")?, &setting("tcp_tw_reuse")?, place)?;
        // Each source address has ports of its own.
        let sources = scenario.target.connection.source_addresses.len().max(1);
        Some(Self { available: ports.available.saturating_mul(sources as u64), ..ports })
    }

    /// Reads the settings `ip_local_port_range`, the first and the last port, and `tcp_tw_reuse`: 0 for never, 1 for always,
    /// 2 within this machine.
    fn read(range: &str, reuse: &str, place: Place) -> Option<Self> {
        let ends: Vec<u64> = range.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let &[first, last] = &ends[..] else { return None };
        let is_reused = match reuse.trim() {
            "1" => true,
            "2" => place == Place::ThisMachine,
            _ => false,
        };
        let kept_for = if is_reused { REUSED_AFTER } else { TIME_WAIT };
        Some(Self { available: (last + 1).checked_sub(first)?, kept_for })
    }

    /// What a run of this load may need, where that is more than there is. `most_requests` is the plan's; without it nobody
    /// knows what a run with a connection per request needs.
    fn shortage_planned(self, load: &Load, most_requests: Option<u64>) -> Option<Demand> {
        let users = u64::from(load.max_users());
        self.shortage(match load.connections {
            Connections::Shared => return None,
            Connections::PerUser => users,
            Connections::PerRequest => users.saturating_add(self.kept(most_requests?, load.length(), load.length())),
        })
    }

    /// What a run of this load needed, where that was more than there is.
    pub(super) fn shortage_seen(self, load: &Load, totals: &Totals) -> Option<Demand> {
        let [main, elapsed] =
            [totals.main_s, totals.elapsed_s].map(|s| Duration::try_from_secs_f64(s).unwrap_or_default());
        let attempts = totals.variants.iter().map(|variant| variant.counts.attempts()).sum();
        self.shortage(match (load.connections, &load.schedule) {
            // In the open model users are made as they are wanted: nobody counted them.
            (Connections::Shared, _) | (Connections::PerUser, Schedule::Arrivals(_)) => return None,
            (Connections::PerUser, Schedule::Users(_)) => u64::from(load.max_users()),
            (Connections::PerRequest, _) => self.kept(attempts, main, elapsed),
        })
    }

    /// The ports that connections keep at once, made for `whole` at the even rate that so many were made in `part` of it.
    /// Where a schedule has peaks it is more.
    fn kept(self, connections: u64, part: Duration, whole: Duration) -> u64 {
        let kept_for = self.kept_for.min(whole);
        if part.is_zero() || kept_for == part {
            return connections;
        }
        let kept = (u128::from(connections) * kept_for.as_nanos()).div_ceil(part.as_nanos());
        u64::try_from(kept).unwrap_or(u64::MAX)
    }

    fn shortage(self, needed: u64) -> Option<Demand> {
        (needed > self.available).then_some(Demand { needed, available: self.available })
    }

    /// What to say before a run of this scenario, where it may need more than there is.
    pub(super) fn caution(self, scenario: &Scenario) -> Option<String> {
        let most_requests = match scenario.load.connections {
            Connections::PerRequest => scenario.plan().most_requests,
            // Not asked for: to count the arrivals of a long schedule takes its time.
            Connections::PerUser | Connections::Shared => None,
        };
        let Demand { needed, available } = self.shortage_planned(&scenario.load, most_requests)?;
        Some(format!(
            "the run may need {} local ports at once, each kept for {} after its connection, and there are {} for one \
             address, so some attempts may break before they are sent; reuse connections (load.connections), spread the \
             load over several addresses of the target, widen net.ipv4.ip_local_port_range, or lower the rate",
            count(needed),
            duration(self.kept_for),
            count(available)
        ))
    }
}

/// Where connections are opened to: a proxy may be on this machine and the target elsewhere, or the other way round.
fn place(target: &Target) -> Place {
    let is_this_machine = match &target.endpoint {
        Endpoint::Simulator(_) => true,
        Endpoint::Url(url) => target.connection.peer(url).is_this_machine(),
    };
    if is_this_machine { Place::ThisMachine } else { Place::Elsewhere }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pace::{Stage, Stages, Window};
    use crate::scenario::{Closed, Overrides, Span};

    const USUAL: &str = "32768\t60999\n";

    fn load(connections: Connections, users: u32, seconds: u64) -> Load {
        let length = Duration::from_secs(seconds);
        let stages = Stages::new(&[Stage::Hold { length, users, spread: Duration::ZERO }]);
        let schedule = Schedule::Users(Closed { stages, think_time: Span::default(), iterations: None });
        Load { schedule, main: Window { from: Duration::ZERO, to: length }, connections, drain: Duration::ZERO }
    }

    /// What is counted of a run with so many attempts.
    fn totals(attempts: u64, main_s: f64) -> Totals {
        let mut totals = Totals { main_s, elapsed_s: main_s, ..Totals::new(1) };
        totals.variants[0].counts.outcomes[0] = attempts;
        totals
    }

    fn usual(place: Place) -> Ports {
        Ports::read(USUAL, "2\n", place).unwrap()
    }

    #[test]
    fn the_range_holds_its_last_port_too() {
        assert_eq!(usual(Place::Elsewhere).available, 28_232);
        assert_eq!(Ports::read("5 5", "0", Place::Elsewhere).unwrap().available, 1);
        for broken in ["", "32768", "a b", "1 2 3", "60999 32768", "-1 5"] {
            assert_eq!(Ports::read(broken, "0", Place::Elsewhere), None, "{broken}");
        }
    }

    #[test]
    fn a_port_is_free_again_after_a_second_where_the_system_lets_it() {
        let kept = |reuse, place| Ports::read(USUAL, reuse, place).unwrap().kept_for.as_secs();
        assert_eq!([kept("0\n", Place::ThisMachine), kept("0\n", Place::Elsewhere)], [60, 60]);
        assert_eq!([kept("1\n", Place::ThisMachine), kept("1\n", Place::Elsewhere)], [1, 1]);
        assert_eq!([kept("2\n", Place::ThisMachine), kept("2\n", Place::Elsewhere)], [1, 60]);
    }

    #[test]
    fn what_counts_is_the_address_that_connections_are_opened_to() {
        let place_of = |url: &str, connection: &str| {
            let text = format!(
                "name = \"ports\"\n[target]\nbase_url = \"{url}\"\npermission = \"the test's\"\n[target.connection]\n\
                 {connection}\n[[variant]]\nname = \"v\"\npath = \"/x\"\nexpect = [202]\n[load]\n\
                 stages = [{{ for = \"1s\", users = 1 }}]"
            );
            let path = std::path::Path::new("ports.toml");
            place(&Scenario::parse(path, text.as_bytes(), &|_| None, &Overrides::default()).unwrap().target)
        };
        for (url, connection, expected) in [
            ("http://127.0.0.2", "", Place::ThisMachine),
            ("http://[::1]", "", Place::ThisMachine),
            ("http://localhost", "", Place::ThisMachine),
            ("http://192.0.2.1", "", Place::Elsewhere),
            ("http://api.example", "", Place::Elsewhere),
            ("http://api.example", "resolve = { \"api.example\" = \"127.0.0.1:80\" }", Place::ThisMachine),
            ("http://localhost", "resolve = { localhost = \"192.0.2.1:80\" }", Place::Elsewhere),
            ("http://api.example", "proxy = \"http://127.0.0.1:3128\"", Place::ThisMachine),
            ("http://127.0.0.1", "proxy = \"http://proxy.example:3128\"", Place::Elsewhere),
        ] {
            assert_eq!(place_of(url, connection), expected, "{url} {connection}");
        }
    }

    #[test]
    fn a_connection_per_request_needs_the_ports_of_a_minute() {
        let (ports, load) = (usual(Place::Elsewhere), load(Connections::PerRequest, 32, 120));
        // 28,200 of a minute and 32 users are just all there is.
        assert_eq!(ports.shortage_planned(&load, Some(56_400)), None);
        let shortage = Some(Demand { needed: 28_233, available: 28_232 });
        assert_eq!(ports.shortage_planned(&load, Some(56_401)), shortage);
        assert_eq!(ports.shortage_planned(&load, None), None);
        assert_eq!(ports.shortage_seen(&load, &totals(28_233, 59.0)), shortage);
        assert_eq!(ports.shortage_seen(&load, &totals(28_233, 61.0)), None);
        assert_eq!(ports.shortage_seen(&load, &totals(0, 0.0)), None);
        // A sixth of them is seen in the main phase, and as many were made in each other sixth.
        let after_warm_up = Totals { elapsed_s: 60.0, ..totals(6_000, 10.0) };
        assert_eq!(ports.shortage_seen(&load, &after_warm_up), Some(Demand { needed: 36_000, available: 28_232 }));
    }

    #[test]
    fn a_connection_per_user_needs_a_port_per_user_and_a_shared_one_none_to_speak_of() {
        let ports = usual(Place::Elsewhere);
        let of_users = |connections, users| {
            let load = load(connections, users, 1);
            [ports.shortage_planned(&load, Some(u64::MAX)), ports.shortage_seen(&load, &totals(1_000_000, 1.0))]
        };
        assert_eq!(of_users(Connections::PerUser, 28_232), [None; 2]);
        assert_eq!(of_users(Connections::PerUser, 28_233), [Some(Demand { needed: 28_233, available: 28_232 }); 2]);
        assert_eq!(of_users(Connections::Shared, 50_000), [None; 2]);
    }

    proptest! {
        #[test]
        fn no_more_ports_are_kept_than_connections_were_made(made: u64, nanos: u64) {
            let time = Duration::from_nanos(nanos);
            let kept = usual(Place::Elsewhere).kept(made, time, time);
            prop_assert!(kept <= made && (kept > 0 || made == 0));
        }
    }
}
