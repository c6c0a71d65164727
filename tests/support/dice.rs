//! Chance that is the same on each machine.

/// A small generator of numbers (xorshift), from one seed.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Dice {
        Dice(0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    pub fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

/// Whether tests run in their long form.
pub fn full_campaign() -> bool {
    std::env::var("GOCACHEVET_CAMPAIGN").is_ok_and(|form| form == "full")
}
