//! Why instants did not fire, for machines and for people.

/// Why instants did not fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Missed while the system was down; a newer one was caught up, or all are too old.
    CatchUp,
    /// The schedule or its trigger was paused.
    Paused,
    /// An edit of the schedule replaced the plan before they were claimed.
    Superseded,
    /// An earlier firing of the trigger still ran.
    Overlap,
    /// An earlier firing of the trigger still ran, and as many as may waited for it.
    BufferFull,
}

impl Reason {
    /// The text in `firing.reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CatchUp => "CATCH_UP",
            Self::Paused => "PAUSED",
            Self::Superseded => "SUPERSEDED",
            Self::Overlap => "OVERLAP",
            Self::BufferFull => "BUFFER_FULL",
        }
    }

    /// The reason that has this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::CatchUp, Self::Paused, Self::Superseded, Self::Overlap, Self::BufferFull];
        all.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Why an instant was skipped, in a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::CatchUp => "it was missed by more than a minute and was not caught up",
            Self::Paused => "the schedule or its trigger was paused",
            Self::Superseded => "an edit replaced the time plan before it began",
            Self::Overlap => "an earlier firing of its trigger still ran",
            Self::BufferFull => {
                "an earlier firing of its trigger still ran, and as many as may waited for it"
            }
        }
    }
}
