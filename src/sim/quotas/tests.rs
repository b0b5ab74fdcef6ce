use std::net::Ipv4Addr;

use rand::SeedableRng;
use rand_xoshiro::SplitMix64;

use super::*;
use crate::quota::{Dimension, Limiter, Model};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A fixed window for all requests alike.
fn quota(name: &str, rate: &str) -> Quota {
    let limiter = Limiter::new(Model::FirstRequestWindow { rate: rate.parse().unwrap() });
    Quota { name: name.to_owned(), limiter, scope: Scope::default(), cost: Cost::Request }
}

fn id(number: u64) -> Id {
    Id::random(&mut SplitMix64::seed_from_u64(number))
}

fn caller() -> Caller {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Caller { token: id(1), client: 0, address, resource: Some(id(2)), attributes: 1, bytes: 100 }
}

/// All instants count from the server's start, whenever that was.
fn quotas_of(quotas: &[Quota]) -> Quotas {
    Quotas::new(quotas, Duration::ZERO)
}

const ADMITTED: Passage = Passage::Admitted { delay: Duration::ZERO };

fn refused(by: usize, until: u64) -> Passage {
    Passage::Refused { by, until: ms(until) }
}

#[test]
fn what_one_quota_refuses_uses_up_nothing_of_another() {
    for quotas in
        [[quota("second", "10/s"), quota("minute", "12/min")], [quota("minute", "12/min"), quota("second", "10/s")]]
    {
        let second = quotas.iter().position(|quota| quota.name == "second").unwrap();
        let mut quotas = quotas_of(&quotas);
        let mut pass = |at| quotas.pass(&caller(), ms(at));
        assert!((0..10).all(|at| pass(at) == ADMITTED));
        assert!((10..500).all(|at| pass(at) == refused(second, 1_000)), "the quota of a second refuses");
        // Had they been counted, the quota of a minute would be used up.
        assert_eq!([pass(1_000), pass(1_001)], [ADMITTED, ADMITTED]);
        assert_eq!(pass(1_002), refused(1 - second, 60_000));
    }
}

#[test]
fn of_several_quotas_that_refuse_the_first_is_named_and_the_last_to_admit_again() {
    let mut quotas = quotas_of(&[quota("a", "1/s"), quota("b", "1/5s"), quota("c", "1/2s"), quota("d", "9/s")]);
    assert_eq!(quotas.pass(&caller(), ms(0)), ADMITTED);
    assert_eq!(quotas.pass(&caller(), ms(1)), refused(0, 5_000));
    assert_eq!(quotas.pass(&caller(), ms(1_500)), refused(1, 5_000));
    assert_eq!(quotas.pass(&caller(), ms(5_000)), ADMITTED);
}

#[test]
fn the_longest_delay_of_all_queues_counts() {
    let queue = |name: &str, rate: &str| {
        let model = Model::LeakyQueue { rate: rate.parse().unwrap(), burst: 3.try_into().unwrap() };
        Quota { limiter: Limiter::new(model), ..quota(name, "1/s") }
    };
    let mut quotas = quotas_of(&[queue("fast", "10/s"), queue("slow", "5/s"), quota("window", "9/s")]);
    for delay in [0, 200, 400, 600] {
        assert_eq!(quotas.pass(&caller(), ms(0)), Passage::Admitted { delay: ms(delay) });
    }
    assert_eq!(quotas.pass(&caller(), ms(0)), refused(0, 200));
}

#[test]
fn a_refusal_names_the_instant_after_its_own_penalty_and_cost() {
    let window = quota("window", "1/s");
    let penalty = Limiter { penalty: ms(3_000), ..window.limiter };
    let meter = Model::LeakyMeter { rate: "1/s".parse().unwrap(), burst: 2.try_into().unwrap() };
    let counting = Limiter { counts_refused: true, ..Limiter::new(meter) };
    for (limiter, admitted, until) in [(penalty, 1, 3_100), (counting, 2, 2_000)] {
        let mut quotas = quotas_of(&[Quota { limiter, ..window.clone() }]);
        assert!((0..admitted).all(|_| quotas.pass(&caller(), ms(0)) == ADMITTED));
        assert_eq!(quotas.pass(&caller(), ms(100)), refused(0, until), "{limiter}");
        assert_eq!(quotas.pass(&caller(), ms(until)), ADMITTED, "{limiter}");
    }
}

#[test]
fn refused_requests_use_up_a_quota_that_counts_them_whoever_refused() {
    let hourly = quota("hourly", "5/h");
    let hourly = Quota { limiter: Limiter { counts_refused: true, ..hourly.limiter }, ..hourly };
    let mut quotas = quotas_of(&[quota("second", "1/s"), hourly]);
    assert_eq!(quotas.pass(&caller(), ms(0)), ADMITTED);
    for at in 1..4 {
        assert_eq!(quotas.pass(&caller(), ms(at)), refused(0, 1_000));
    }
    // The fifth uses up the hour, so that quota would refuse the same request from now on.
    assert_eq!(quotas.pass(&caller(), ms(4)), refused(0, 3_600_000));
    assert_eq!(quotas.pass(&caller(), ms(1_000)), refused(1, 3_600_000));
}

#[test]
fn there_may_be_more_quotas_than_a_word_has_bits() {
    let quotas: Vec<_> = (0..70).map(|i| quota(&i.to_string(), if i == 69 { "1/s" } else { "2/s" })).collect();
    let mut quotas = quotas_of(&quotas);
    assert_eq!(quotas.pass(&caller(), ms(0)), ADMITTED);
    assert_eq!(quotas.pass(&caller(), ms(0)), refused(69, 1_000));
}

#[test]
fn each_dimension_of_a_scope_tells_requests_apart_and_no_other_does() {
    use Dimension::{Address, Client, Resource, Token};
    let other = [
        (Token, Caller { token: id(9), ..caller() }),
        (Client, Caller { client: 9, ..caller() }),
        (Address, Caller { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)), ..caller() }),
        (Resource, Caller { resource: Some(id(9)), ..caller() }),
        (Resource, Caller { resource: None, ..caller() }),
    ];
    let subsets = (0..16_u8).map(|set| {
        let all = [Token, Client, Address, Resource].into_iter().enumerate();
        all.filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, dimension)| dimension).collect::<Vec<_>>()
    });
    for dimensions in subsets {
        let scope = Scope::of(dimensions.iter().copied());
        for (differs_in, other) in &other {
            let mut quotas = quotas_of(&[Quota { scope, ..quota("one", "1/s") }]);
            assert_eq!(quotas.pass(&caller(), ms(0)), ADMITTED);
            let is_apart = dimensions.contains(differs_in);
            let expected = if is_apart { ADMITTED } else { refused(0, 1_000) };
            assert_eq!(quotas.pass(other, ms(0)), expected, "{scope}, another {}", differs_in.name());
            assert_eq!(quotas.pass(&caller(), ms(0)), refused(0, 1_000), "{scope}");
        }
    }
}

#[test]
fn a_request_costs_by_its_attributes_or_bytes_and_at_least_one() {
    for (cost, caller, costs) in [
        (Cost::Request, Caller { attributes: 40, bytes: 400, ..caller() }, 1),
        (Cost::Attributes, Caller { attributes: 40, bytes: 400, ..caller() }, 40),
        (Cost::Bytes, Caller { attributes: 40, bytes: 400, ..caller() }, 400),
        (Cost::Attributes, Caller { attributes: 0, ..caller() }, 1),
        (Cost::Bytes, Caller { bytes: 0, ..caller() }, 1),
    ] {
        let mut quotas = quotas_of(&[Quota { cost, ..quota("thousand", "1000/s") }]);
        assert_eq!(quotas.pass(&caller, ms(0)), ADMITTED);
        let (_, usage) = quotas.usages(&caller, ms(0)).next().unwrap();
        assert_eq!(usage.remaining, 1_000 - costs, "{}", cost.name());
    }
}

#[test]
fn what_costs_more_than_the_quota_holds_is_never_admitted() {
    let mut quotas = quotas_of(&[Quota { cost: Cost::Bytes, ..quota("ten", "10/s") }, quota("one", "1/s")]);
    let large = Caller { bytes: 11, ..caller() };
    assert_eq!(quotas.pass(&large, ms(0)), refused(0, 1_000), "no time helps, so nothing but the least is told");
    assert_eq!(quotas.pass(&Caller { bytes: 10, ..caller() }, ms(0)), ADMITTED, "the other quota was not used");
    // The second quota would admit it at some time, the first at none.
    assert_eq!(quotas.pass(&large, ms(1)), refused(0, 1_001));
}

#[test]
fn a_concurrency_limit_is_released_at_the_end_of_an_answer_by_its_cost() {
    let limiter = Limiter::new(Model::Concurrency { limit: 5.try_into().unwrap() });
    let scope = Scope { token: true, ..Scope::default() };
    let concurrency = Quota { limiter, scope, cost: Cost::Attributes, ..quota("concurrency", "1/s") };
    let mut quotas = quotas_of(&[quota("window", "5/s"), concurrency]);
    assert!(quotas.await_the_end());
    let (small, large) = (Caller { attributes: 2, ..caller() }, Caller { attributes: 3, ..caller() });
    assert_eq!([quotas.pass(&small, ms(0)), quotas.pass(&large, ms(0))], [ADMITTED, ADMITTED]);
    assert_eq!(quotas.pass(&small, ms(1)), refused(1, 1_001));
    quotas.done(&small, ms(2));
    assert_eq!([quotas.pass(&large, ms(3)), quotas.pass(&small, ms(3))], [refused(1, 1_003), ADMITTED]);
    quotas.done(&large, ms(4));
    quotas.done(&small, ms(4));
    // Of the window only three are used: what the concurrency limit refused is not counted.
    assert_eq!(quotas.usages(&caller(), ms(5)).map(|(_, usage)| usage.remaining).collect::<Vec<_>>(), [2, 5]);
}

#[test]
fn what_is_known_is_told_though_a_request_in_flight_may_end_at_any_instant() {
    let limit = Limiter::new(Model::Concurrency { limit: 1.try_into().unwrap() });
    let concurrency = Quota { limiter: limit, ..quota("concurrency", "1/s") };
    let mut beside = quotas_of(&[concurrency.clone(), quota("minute", "1/min")]);
    assert_eq!(beside.pass(&caller(), ms(0)), ADMITTED);
    assert_eq!(beside.pass(&caller(), ms(20_000)), refused(0, 60_000));
    let penalty = Limiter { penalty: ms(30_000), ..limit };
    let mut with_penalty = quotas_of(&[Quota { limiter: penalty, ..concurrency }]);
    assert_eq!(with_penalty.pass(&caller(), ms(0)), ADMITTED);
    assert_eq!(with_penalty.pass(&caller(), ms(5)), refused(0, 30_005));
    with_penalty.done(&caller(), ms(6));
    assert_eq!(with_penalty.pass(&caller(), ms(30_004)), refused(0, 30_005), "the penalty is not over");
    assert_eq!(with_penalty.pass(&caller(), ms(30_005)), ADMITTED);
}

#[test]
fn without_a_concurrency_limit_nobody_waits_for_the_end() {
    assert!(!quotas_of(&[quota("window", "5/s")]).await_the_end());
    assert!(!quotas_of(&[]).await_the_end());
}

#[test]
fn idle_keys_are_forgotten_and_busy_ones_are_not() {
    let scope = Scope { resource: true, ..Scope::default() };
    let mut quotas = quotas_of(&[Quota { scope, ..quota("resource", "1/s") }]);
    let of = |number: usize| Caller { resource: Some(id(u64::try_from(number).unwrap())), ..caller() };
    for number in 1..FIRST_SWEEP {
        assert_eq!(quotas.pass(&of(number), ms(if number == 7 { 900 } else { 0 })), ADMITTED);
    }
    assert_eq!(quotas.quotas[0].states.len(), FIRST_SWEEP - 1);
    // At 1 s all windows but one have ended.
    assert_eq!(quotas.pass(&of(FIRST_SWEEP), ms(1_000)), ADMITTED);
    assert_eq!(quotas.quotas[0].states.len(), 2);
    assert_eq!(quotas.pass(&of(7), ms(1_000)), refused(0, 1_900), "a busy key is remembered");
    assert_eq!(quotas.pass(&of(8), ms(1_000)), ADMITTED);
}

#[test]
fn keys_that_are_all_busy_are_kept_and_not_searched_each_time() {
    let limiter = Limiter::new(Model::Concurrency { limit: 1.try_into().unwrap() });
    let scope = Scope { address: true, ..Scope::default() };
    let mut quotas = quotas_of(&[Quota { limiter, scope, ..quota("address", "1/s") }]);
    let of =
        |number: usize| Caller { address: IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap())), ..caller() };
    for number in 0..=FIRST_SWEEP {
        assert_eq!(quotas.pass(&of(number), ms(0)), ADMITTED);
    }
    let kept = &quotas.quotas[0];
    assert_eq!(kept.states.len(), FIRST_SWEEP + 1);
    assert!(kept.sweep_at > 2 * FIRST_SWEEP - 10, "the next search is far off: {}", kept.sweep_at);
    quotas.done(&of(3), ms(1));
    assert_eq!(quotas.pass(&of(3), ms(1)), ADMITTED);
    assert_eq!(quotas.pass(&of(4), ms(1)), refused(0, 1_001));
}

#[test]
fn windows_on_the_clock_are_those_of_the_wall_clock() {
    let model = Model::ClockWindow { rate: "1/min".parse().unwrap() };
    let clock = Quota { limiter: Limiter::new(model), ..quota("clock", "1/min") };
    // The server starts 50 s into a minute.
    let mut quotas = Quotas::new(&[clock], ms(1_000_000 * 60_000 + 50_000));
    assert_eq!(quotas.pass(&caller(), ms(0)), ADMITTED);
    assert_eq!(quotas.pass(&caller(), ms(1)), refused(0, 10_000));
    assert_eq!(quotas.pass(&caller(), ms(10_000)), ADMITTED);
    assert_eq!(quotas.pass(&caller(), ms(10_001)), refused(0, 70_000));
}
