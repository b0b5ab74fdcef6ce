//! The paths of the forum.

/// A path of the forum, with the payloads that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Thread A, a live call: the map must stand two levels deep, whether or not the path names the conversation.
    Live,
    /// Thread B, a web conversation: wants the type of the participant, and it must match.
    Web,
    /// Thread C, the first path: answers 200 and changes nothing.
    Interaction,
    /// Thread C, the second path: wants the type; a full object must have the right version.
    Typed,
    /// Thread D, a voice call: answers 204; only a whole object stays.
    Voice,
    /// Thread E, an SDK: PUT replaces, PATCH merges, and nothing may stand beside what they know.
    Sdk,
}

impl Form {
    /// The methods of its path.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Sdk => "PATCH, PUT",
            _ => "PATCH",
        }
    }

    /// The name of the operation.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Live => "thread-a-live",
            Self::Web => "thread-b-web",
            Self::Interaction => "thread-c-interaction",
            Self::Typed => "thread-c-typed",
            Self::Voice => "thread-d-voice",
            Self::Sdk => "thread-e-sdk",
        }
    }
}
