//! The tokens of whoever is no worker: as they are now, renewed while they are used.

use std::convert::Infallible;
use std::rc::Rc;

use super::tokens::{Pass, TokenKeeper, TokenView};
use crate::measure::Answer;

/// All tokens of a keeper. A clone shows the same.
#[derive(Clone)]
pub struct Keyring(Rc<TokenView>);

impl Keyring {
    /// The tokens of a keeper, and what renews them for as long as it is polled.
    pub fn of(keeper: TokenKeeper) -> (Self, impl Future<Output = Infallible>) {
        let mut subscription = keeper.subscribe();
        let view = Rc::new(TokenView::new(&mut subscription));
        let follower = view.clone();
        let renewing = async move {
            tokio::select! {
                () = keeper.renew() => {}
                () = follower.follow(subscription) => {}
            }
            std::future::pending().await
        };
        (Self(view), renewing)
    }

    /// A token, counted from 0, as it is now; `None` where requests are not authorised.
    #[must_use]
    pub fn pass(&self, token: usize) -> Option<Pass> {
        self.0.of(token)
    }

    /// Looks at what a request with this token got: one that was refused is renewed.
    pub fn note(&self, pass: Option<&Pass>, answer: &Answer) {
        self.0.note(pass, answer);
    }
}
