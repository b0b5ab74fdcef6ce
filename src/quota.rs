//! Models of rate limiters as pure functions of arrivals: what the simulator enforces and the profiler will fit.

mod fixed_window;

pub use fixed_window::{Admission, FixedWindow, FixedWindowState};
