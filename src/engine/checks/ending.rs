//! How a check ends that is dropped before it could tell.

use std::rc::Rc;

use crate::consistency::Event;
use crate::engine::worker::Worker;
use crate::units::Timer;

/// What is recorded where a check is dropped while it goes on.
pub(super) struct Unless<T: Timer> {
    worker: Rc<Worker<T>>,
    event: Option<Event>,
}

impl<T: Timer> Unless<T> {
    /// This is recorded unless the check ends otherwise.
    pub(super) fn new(worker: Rc<Worker<T>>, event: Event) -> Self {
        Self { worker, event: Some(event) }
    }

    /// The check ended, and this is what came of it.
    pub(super) fn ended_with(mut self, event: Option<Event>) {
        self.event = None;
        if let Some(event) = event {
            self.worker.log.event(event);
        }
    }
}

impl<T: Timer> Drop for Unless<T> {
    fn drop(&mut self) {
        if let Some(mut event) = self.event.take() {
            if let Event::Repetition(repetition) = &mut event {
                repetition.to = repetition.to.max(self.worker.timer.now());
            }
            self.worker.log.event(event);
        }
    }
}
