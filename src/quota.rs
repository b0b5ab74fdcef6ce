//! Models of rate limiters as pure functions of arrivals: what the simulator enforces and the profiler fits.
//!
//! A [`Limiter`] is the rule, a [`State`] what one key has used up of it. To *judge* a request changes nothing; what
//! was decided is *noted* apart. So several quotas can stand over one request, each noting the common decision, and a
//! fit can note what a server was seen to do, whatever the model would have done. Instants are times since some start
//! of the caller's; a limiter never reads a clock. All arithmetic is on whole nanoseconds, so a refusal's instant is
//! exact.
//!
//! Each family of models is a file that implements one trait, `rule::Rule`: what room there is at an instant, when
//! there will be, and what a request takes. The options are the limiter's own, and the same for all.

mod bucket;
mod concurrency;
mod exact;
mod gcra;
mod limiter;
mod model;
#[cfg(test)]
mod properties;
mod queue;
mod rule;
mod scope;
#[cfg(test)]
mod scripts;
mod sliding_counter;
mod sliding_log;
mod ticking_bucket;
mod used;
mod window;

pub use limiter::{Admission, Arrival, Limiter, Opening, Slow, State, Usage};
pub use model::Model;
pub use scope::{Cost, Dimension, Quota, Scope};
