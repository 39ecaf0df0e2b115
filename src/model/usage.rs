//! What a call to a model used: tokens and other counted things, each in exactly one class.

/// One class of what is counted and priced. No token is in two classes: `Input` is the text that was
/// neither read from a cache nor written to one, `Output` is what was neither reasoning nor media.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum UsageClass {
    /// Tokens of text that went in.
    Input,
    /// Tokens of sound that went in.
    InputAudio,
    /// Tokens of pictures that went in.
    InputImage,
    /// Tokens of films that went in.
    InputVideo,
    /// Tokens that were read from the provider's prompt cache.
    CacheRead,
    /// Tokens of sound that were read from the provider's prompt cache.
    CacheReadAudio,
    /// Tokens that were written to the prompt cache for five minutes.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Tokens that were written to the prompt cache for an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Tokens of text that came out.
    Output,
    /// Tokens the model thought.
    Reasoning,
    /// Tokens of sound that came out.
    OutputAudio,
    /// Tokens of pictures that came out.
    OutputImage,
    /// Calls.
    Requests,
    /// Searches of the web that the provider made.
    WebSearches,
    /// Searches of files that the provider made.
    FileSearches,
    /// Sandboxes that the provider ran code in.
    CodeSessions,
    /// Queries of an index, as an app reports them.
    Queries,
    /// What an index has read, in its vendor's units.
    ReadUnits,
    /// What was written into an index, in its vendor's units.
    WriteUnits,
    /// Searches of a reranker, in its vendor's units.
    SearchUnits,
    /// Pages that were read by OCR.
    Pages,
}

impl UsageClass {
    /// All classes.
    pub const ALL: [Self; 21] = [
        Self::Input,
        Self::InputAudio,
        Self::InputImage,
        Self::InputVideo,
        Self::CacheRead,
        Self::CacheReadAudio,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Output,
        Self::Reasoning,
        Self::OutputAudio,
        Self::OutputImage,
        Self::Requests,
        Self::WebSearches,
        Self::FileSearches,
        Self::CodeSessions,
        Self::Queries,
        Self::ReadUnits,
        Self::WriteUnits,
        Self::SearchUnits,
        Self::Pages,
    ];

    /// Whether it counts tokens of a prompt.
    #[must_use]
    pub fn is_input(self) -> bool {
        (self as usize) < Self::Output as usize
    }

    /// Whether it counts tokens of an answer.
    #[must_use]
    pub fn is_output(self) -> bool {
        !self.is_input() && (self as usize) < Self::Requests as usize
    }

    /// Whether it was read from the provider's prompt cache.
    #[must_use]
    pub fn is_cache_read(self) -> bool {
        matches!(self, Self::CacheRead | Self::CacheReadAudio)
    }

    /// Whether it was written to the provider's prompt cache.
    #[must_use]
    pub fn is_cache_write(self) -> bool {
        matches!(self, Self::CacheWrite5m | Self::CacheWrite1h)
    }
}

/// Counts by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    counts: [u64; UsageClass::ALL.len()],
}

impl Usage {
    /// The count of a class.
    #[must_use]
    pub fn get(&self, class: UsageClass) -> u64 {
        self.counts.get(class as usize).copied().unwrap_or_default()
    }

    /// Sets the count of a class.
    pub fn set(&mut self, class: UsageClass, count: u64) {
        if let Some(slot) = self.counts.get_mut(class as usize) {
            *slot = count;
        }
    }

    /// The same with another count of a class.
    #[must_use]
    pub fn with(mut self, class: UsageClass, count: u64) -> Self {
        self.set(class, count);
        self
    }

    /// Adds what another call used.
    pub fn add(&mut self, other: &Self) {
        for (slot, more) in self.counts.iter_mut().zip(other.counts) {
            *slot = slot.saturating_add(more);
        }
    }

    /// The classes that are not zero, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (UsageClass, u64)> + '_ {
        UsageClass::ALL.into_iter().map(|it| (it, self.get(it))).filter(|it| it.1 > 0)
    }

    /// All tokens of prompts, cached or not.
    #[must_use]
    pub fn input_tokens(&self) -> u64 {
        self.sum(UsageClass::is_input)
    }

    /// All tokens of answers, thought or said.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        self.sum(UsageClass::is_output)
    }

    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input_tokens().saturating_add(self.output_tokens())
    }

    /// Tokens that were read from the provider's prompt cache.
    #[must_use]
    pub fn cache_read_tokens(&self) -> u64 {
        self.sum(UsageClass::is_cache_read)
    }

    /// Tokens that were written to the provider's prompt cache.
    #[must_use]
    pub fn cache_write_tokens(&self) -> u64 {
        self.sum(UsageClass::is_cache_write)
    }

    fn sum(&self, which: impl Fn(UsageClass) -> bool) -> u64 {
        let counts = self.iter().filter(|it| which(it.0)).map(|it| it.1);
        counts.fold(0, u64::saturating_add)
    }
}

impl serde::Serialize for Usage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> serde::Deserialize<'de> for Usage {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counts = std::collections::BTreeMap::<UsageClass, u64>::deserialize(deserializer)?;
        Ok(counts
            .into_iter()
            .fold(Self::default(), |usage, (class, count)| usage.with(class, count)))
    }
}
