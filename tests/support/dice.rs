//! Chance that is the same on each machine.

/// A small generator of numbers (xorshift).
pub struct Dice(u64);

impl Dice {
    /// Other names throw other numbers.
    pub fn new(name: &str) -> Dice {
        let mix = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Dice(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
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
