//! Records as a busy application would report them: 1.5 KB each, a third with personal data or
//! secrets, a third with look-alikes. Same seed, same bytes.

const WORDS: &str = "the model returned a summary of quarterly revenue and the team asked for a shorter \
    answer with clear bullet points before sending it to customers who had opened tickets about \
    delayed orders because shipping data was missing from their account page";
const MODELS: &[&str] =
    &["anthropic/claude-3.5-sonnet", "openai/gpt-4o-mini", "google/gemini-2.5-pro"];
const PERSONAL: &[&str] = &[
    "reach me at ana.silva7@example.com please",
    "my number is (415) 555-0134",
    "SSN 536-90-4399 is on file",
    "use key 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 for it",
    "charge card 4111 1111 1111 1111 today",
];
const LOOK_ALIKES: &[&str] = &[
    "order 1234567890-42",
    "trace 7f3a9c21-5b1e-4c7d-9a52-0d1f6b3e8c44",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "release v2.14.0",
    "at 2026-11-21T10:05:09.123Z",
    "café 東京 🚀 \\\"quoted\\\"\\n\\ttabbed",
];

/// A linear congruential generator (Knuth, TAOCP 2, 3.3.4) and the records it makes.
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Generator(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn text(&mut self, size: usize) -> String {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut text = String::with_capacity(size + 128);
        let at = self.below(size);
        let extra = match self.below(3) {
            0 => PERSONAL[self.below(PERSONAL.len())],
            1 => LOOK_ALIKES[self.below(LOOK_ALIKES.len())],
            _ => "",
        };
        let mut placed = extra.is_empty();
        while text.len() < size {
            if !placed && text.len() >= at {
                placed = true;
                text.push_str(extra);
                text.push(' ');
            }
            text.push_str(words[self.below(words.len())]);
            text.push(' ');
        }
        text
    }

    /// One record with its LF.
    pub(crate) fn record(&mut self, n: u64) -> String {
        let (prompt, response) = (self.text(600), self.text(400));
        let model = MODELS[self.below(MODELS.len())];
        format!(
            "{{\"id\":\"{:08x}-5b1e-4c7d-9a52-{n:012x}\",\"timestamp\":\"2026-11-21T10:05:09.123Z\",\
             \"event_type\":\"chat_completion\",\"generation_id\":\"gen-{}-{:020}\",\
             \"user_id\":\"user_{}\",\"model_requested\":\"{model}\",\"model_used\":\"{model}\",\
             \"prompt\":\"{prompt}\",\"response\":\"{response}\",\"prompt_tokens\":{},\
             \"completion_tokens\":{},\"latency_ms\":{}.5,\"status\":\"success\",\
             \"metadata\":{{\"session_id\":\"sess_{:08x}\",\"feature\":\"support\"}}}}\n",
            self.below(1 << 31),
            1_793_000_000 + n,
            self.below(1 << 31),
            self.below(400),
            self.below(4000),
            self.below(2000),
            self.below(9000),
            self.below(1 << 31),
        )
    }
}
