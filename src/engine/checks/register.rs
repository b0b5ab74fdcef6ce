//! What a worker knows of the registers that it checks: which values were written to them since.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::consistency::Place;

/// So many values of a register are remembered: a look that shows an older one is not known to be superseded, so that its
/// check goes on, and nothing else.
const MOST_REMEMBERED: usize = 1_024;

/// The registers that are being checked on a worker.
#[derive(Default, Clone)]
pub(super) struct Registers(Rc<RefCell<HashMap<Place, Rc<Register>>>>);

/// One of them.
#[derive(Default)]
struct Register {
    /// Leases that there are.
    leases: Cell<u32>,
    /// Writes that were noted.
    noted: Cell<u64>,
    /// What the last of them wrote.
    values: RefCell<VecDeque<u64>>,
}

impl Registers {
    /// Takes note that somebody has written a value to a register, as soon as that is known.
    pub(super) fn note(&self, place: &Place, value: u64) {
        let registers = self.0.borrow();
        // Most writes are to registers that nobody checks just then, and often none is checked.
        let Some(register) = (!registers.is_empty()).then(|| registers.get(place)).flatten() else { return };
        register.noted.set(register.noted.get() + 1);
        let mut values = register.values.borrow_mut();
        if values.len() == MOST_REMEMBERED {
            values.pop_front();
        }
        values.push_back(value);
    }

    /// Begins to remember what is written to a register.
    pub(super) fn lease(&self, place: Place) -> Lease {
        let register = self.0.borrow_mut().entry(place.clone()).or_default().clone();
        register.leases.set(register.leases.get() + 1);
        Lease { registers: self.clone(), from: register.noted.get(), place, register }
    }
}

/// What a check knows of its register: knowledge, no lock. Its drop ends that.
pub(super) struct Lease {
    registers: Registers,
    pub(super) place: Place,
    register: Rc<Register>,
    /// Writes that had been noted before.
    from: u64,
}

impl Lease {
    /// Whether this worker knows that the value was written after the lease began, or while it did.
    pub(super) fn is_later(&self, value: u64) -> bool {
        let values = self.register.values.borrow();
        let later = usize::try_from(self.register.noted.get() - self.from).unwrap_or(usize::MAX);
        values.iter().rev().take(later).any(|later| *later == value)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.register.leases.set(self.register.leases.get() - 1);
        if self.register.leases.get() == 0 {
            self.registers.0.borrow_mut().remove(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row: u32) -> Place {
        Place { row, key: "ref".into() }
    }

    #[test]
    fn a_lease_knows_what_was_written_since_it_began_and_only_to_its_register() {
        let registers = Registers::default();
        let first = registers.lease(place(1));
        registers.note(&place(1), 10);
        let second = registers.lease(place(1));
        registers.note(&place(1), 11);
        registers.note(&place(2), 12);
        assert_eq!([10, 11, 12].map(|value| first.is_later(value)), [true, true, false]);
        assert_eq!([10, 11, 12].map(|value| second.is_later(value)), [false, true, false]);
    }

    #[test]
    fn nothing_is_remembered_of_a_register_that_nobody_checks_nor_without_bound() {
        let registers = Registers::default();
        registers.note(&place(1), 1);
        assert!(registers.0.borrow().is_empty());
        let lease = registers.lease(place(1));
        (0..5_000).for_each(|value| registers.note(&place(1), value));
        assert_eq!(lease.register.values.borrow().len(), MOST_REMEMBERED);
        assert!(!lease.is_later(0) && lease.is_later(4_999));
        drop(lease);
        assert!(registers.0.borrow().is_empty());
    }
}
