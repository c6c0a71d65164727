//! Many contents hashed together, two at a time (see [`lanes`](super::lanes)).

use super::lanes::{Block, State, compress_two};
use sha2::block_api::compress256;

/// A batch is not hashed before it has so many bytes: enough that the odd
/// content at its end, hashed without a partner, does not count.
const WORTH: usize = 256 << 10;

/// Nor may more contents wait, however small: a hostile zip can have a million
/// of empty ones.
const MANY: usize = 4096;

/// Contents that wait to be hashed, each with whose it is.
pub(crate) struct Batch<T> {
    room: Vec<u8>,
    used: usize,
    longest: usize,
    largest: usize,
    waiting: Vec<(usize, T)>,
}

impl<T> Batch<T> {
    /// A batch for contents of up to `largest` bytes. Its memory is twice that,
    /// and a little; the system gives it when it is first used.
    pub(crate) fn new(largest: usize) -> Batch<T> {
        Batch {
            room: vec![0; 2 * largest + WORTH + 1],
            used: 0,
            longest: 0,
            largest,
            waiting: Vec::new(),
        }
    }

    /// The largest content it takes.
    pub(crate) fn largest(&self) -> usize {
        self.largest
    }

    /// Room for the next content, if [`is_due`](Self::is_due) was heeded: the
    /// largest and a byte more, which shows that a file is longer.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let end = (self.used + self.largest + 1).min(self.room.len());
        self.room.get_mut(self.used..end).unwrap_or_default()
    }

    /// Takes the first `len` bytes of the room as a content.
    pub(crate) fn push(&mut self, len: usize, whose: T) {
        let len = len.min(self.room().len());
        self.used += len;
        self.longest = self.longest.max(len);
        self.waiting.push((len, whose));
    }

    /// Whether it is time to [`finish`](Self::finish): the room gets short, or
    /// the others last as long as the longest, so that no lane will be idle.
    pub(crate) fn is_due(&self) -> bool {
        self.room.len() - self.used <= self.largest
            || self.waiting.len() >= MANY
            || (self.used >= WORTH && self.used - self.longest >= self.longest)
    }

    /// Hashes everything and hands it out, the longest first.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(T, [u8; 32])) {
        let mut rest = self.room.get(..self.used).unwrap_or_default();
        let mut contents = Vec::with_capacity(self.waiting.len());
        for (len, whose) in self.waiting.drain(..) {
            let (content, behind) = rest.split_at_checked(len).unwrap_or_default();
            contents.push((content, whose));
            rest = behind;
        }
        contents.sort_by_key(|(content, _)| std::cmp::Reverse(content.len()));
        let (contents, whose): (Vec<_>, Vec<_>) = contents.into_iter().unzip();
        for (whose, digest) in whose.into_iter().zip(digests(&contents)) {
            each(whose, digest);
        }
        (self.used, self.longest) = (0, 0);
    }
}

/// The SHA-256 of each content.
pub(crate) fn digests(contents: &[&[u8]]) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; contents.len()];
    let mut waiting = contents.iter().zip(&mut digests).map(Lane::new);
    let (mut first, mut second) = (waiting.next(), waiting.next());
    while let (Some(a), Some(b)) = (&mut first, &mut second) {
        Lane::advance(a, b);
        if a.finish() {
            first = waiting.next();
        }
        if b.finish() {
            second = waiting.next();
        }
    }
    if let Some(mut last) = first.or(second) {
        last.advance_alone();
    }
    digests
}

/// The initial state (FIPS 180-4, 5.3.3).
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A content on its way.
struct Lane<'a> {
    state: State,
    /// What is left of the content's whole blocks.
    blocks: &'a [Block],
    /// The rest of the content, padded: one or two blocks.
    tail: [Block; 2],
    /// Where in the tail to go on.
    tail_from: usize,
    digest: &'a mut [u8; 32],
}

impl<'a> Lane<'a> {
    fn new((content, digest): (&&'a [u8], &'a mut [u8; 32])) -> Lane<'a> {
        let (blocks, rest) = content.as_chunks::<64>();
        let mut padded = [0; 128];
        // One block, at its end, if mark and length still fit behind the rest.
        let tail_from = usize::from(rest.len() < 56);
        let bits = 8 * content.len() as u64;
        let (start, end) = padded.split_at_mut(120);
        end.copy_from_slice(&bits.to_be_bytes());
        for (to, from) in start
            .iter_mut()
            .skip(64 * tail_from)
            .zip(rest.iter().chain(&[0x80]))
        {
            *to = *from;
        }
        let (halves, _) = padded.as_chunks::<64>();
        Lane {
            state: INITIAL,
            blocks,
            tail: [halves[0], halves[1]],
            tail_from,
            digest,
        }
    }

    fn next_blocks(&self) -> &[Block] {
        match self.blocks {
            [] => self.tail.get(self.tail_from..).unwrap_or_default(),
            blocks => blocks,
        }
    }

    fn skip(&mut self, count: usize) {
        match self.blocks {
            [] => self.tail_from += count,
            blocks => self.blocks = blocks.get(count..).unwrap_or_default(),
        }
    }

    /// Both go on until one of them comes to its tail, or to its end.
    fn advance(a: &mut Lane, b: &mut Lane) {
        let (mut state_a, mut state_b) = (a.state, b.state);
        let (blocks_a, blocks_b) = (a.next_blocks(), b.next_blocks());
        let both = blocks_a.len().min(blocks_b.len());
        compress_two([&mut state_a, &mut state_b], [blocks_a, blocks_b]);
        (a.state, b.state) = (state_a, state_b);
        a.skip(both);
        b.skip(both);
    }

    fn advance_alone(&mut self) {
        compress256(&mut self.state, self.blocks);
        let tail = self.tail.get(self.tail_from..).unwrap_or_default();
        compress256(&mut self.state, tail);
        self.blocks = &[];
        self.tail_from = 2;
        self.finish();
    }

    /// Whether it is at its end, and if so gives the digest.
    fn finish(&mut self) -> bool {
        let done = self.next_blocks().is_empty();
        if done {
            let (words, _) = self.digest.as_chunks_mut::<4>();
            for (bytes, word) in words.iter_mut().zip(self.state) {
                *bytes = word.to_be_bytes();
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn every_length_around_a_block() {
        let bytes: Vec<u8> = (0..=255).collect();
        let contents: Vec<&[u8]> = (0..200).map(|len| &bytes[..len]).collect();
        for (content, digest) in contents.iter().zip(digests(&contents)) {
            assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(content)));
        }
    }

    #[test]
    fn is_due_when_it_is_worth_it_or_full() {
        let mut batch = Batch::new(1 << 20);
        batch.push(1 << 20, ());
        assert!(!batch.is_due(), "nothing to go beside it");
        batch.push(1 << 19, ());
        assert!(batch.is_due(), "no room for another large one");
        batch.finish(|(), _| ());
        (0..4).for_each(|_| batch.push(WORTH / 4, ()));
        assert!(batch.is_due());
        assert_eq!(batch.room().len(), (1 << 20) + 1);
        batch.finish(|(), _| ());
        (1..MANY).for_each(|_| batch.push(0, ()));
        assert!(!batch.is_due());
        batch.push(0, ());
        assert!(batch.is_due(), "very many that are empty");
    }

    proptest! {
        #[test]
        fn like_sha2(contents in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..1000), 0..20)
        ) {
            let mut batch = Batch::new(1000);
            let mut seen = 0;
            for (index, content) in contents.iter().enumerate() {
                batch.room()[..content.len()].copy_from_slice(content);
                batch.push(content.len(), index);
                if index % 7 == 6 || batch.is_due() || index + 1 == contents.len() {
                    batch.finish(|index, digest| {
                        seen += 1;
                        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(&contents[index])));
                    });
                }
            }
            prop_assert_eq!(seen, contents.len());
        }
    }
}
