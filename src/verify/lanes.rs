//! Two SHA-256 compressions side by side.
//!
//! The SHA instructions of x86-64 wait for each other: one message leaves the
//! unit idle half of the time. Two messages whose rounds alternate go through
//! it at nearly twice the speed, which the `sha2` crate does not offer. This is
//! the one file with `unsafe` in it: a single call, behind the check that the
//! processor has these instructions. Everything else takes `sha2`'s way, and so
//! does a debug build but for its unit tests: unoptimised, the lanes are ten times slower than it.

use sha2::block_api::compress256;

/// A SHA-256 state between blocks, as FIPS 180-4 numbers its words.
pub(super) type State = [u32; 8];
/// The unit that is compressed at a time.
pub(super) type Block = [u8; 64];

/// Compresses as many blocks as both slices have into the two states.
pub(super) fn compress_two(states: [&mut State; 2], blocks: [&[Block]; 2]) {
    #[cfg(target_arch = "x86_64")]
    if cfg!(any(test, not(debug_assertions)))
        && std::arch::is_x86_feature_detected!("sha")
        && std::arch::is_x86_feature_detected!("sse4.1")
        && std::arch::is_x86_feature_detected!("ssse3")
    {
        #[allow(unsafe_code)]
        // SAFETY: the processor has the instructions, as was just asked of it;
        // there is no other condition, as no pointer is involved.
        return unsafe { x86::compress_two(states, blocks) };
    }
    let both = blocks[0].len().min(blocks[1].len());
    for (state, blocks) in states.into_iter().zip(blocks) {
        compress256(state, blocks.get(..both).unwrap_or_default());
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, State};
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
        _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
        _mm_shuffle_epi8, _mm_shuffle_epi32,
    };

    /// The round constants (FIPS 180-4, 4.2.2), four rounds a row.
    #[rustfmt::skip]
    const K: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    /// A state as the instructions want it, and the last 16 words of its schedule.
    #[derive(Clone, Copy)]
    struct Lane {
        abef: __m128i,
        cdgh: __m128i,
        words: [__m128i; 4],
    }

    #[target_feature(enable = "sha,sse4.1,ssse3")]
    pub(super) fn compress_two(states: [&mut State; 2], blocks: [&[Block]; 2]) {
        let mut first = load_state(states[0]);
        let mut second = load_state(states[1]);
        for (a, b) in blocks[0].iter().zip(blocks[1]) {
            let before = (first, second);
            first.words = load_block(a);
            second.words = load_block(b);
            // Written out, so that every index below is known when compiling.
            macro_rules! rounds {
                ($($group:literal)*) => {$(
                    four_rounds($group, &mut first);
                    four_rounds($group, &mut second);
                )*};
            }
            rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            first = sum(first, before.0);
            second = sum(second, before.1);
        }
        *states[0] = store_state(first);
        *states[1] = store_state(second);
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn four_rounds(group: usize, lane: &mut Lane) {
        let words = &mut lane.words;
        let [w0, w1, w2, w3] = std::array::from_fn(|i| words[(group + i) % 4]);
        let word = if group < 4 {
            w0
        } else {
            let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
            _mm_sha256msg2_epu32(sum, w3)
        };
        words[group % 4] = word;
        let input = _mm_add_epi32(word, from_words(K[group]));
        lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, input);
        let upper = _mm_shuffle_epi32(input, 0x0e);
        lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, upper);
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn sum(lane: Lane, before: Lane) -> Lane {
        Lane {
            abef: _mm_add_epi32(lane.abef, before.abef),
            cdgh: _mm_add_epi32(lane.cdgh, before.cdgh),
            ..lane
        }
    }

    /// Sixteen words, which SHA-256 takes as big-endian.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn load_block(block: &Block) -> [__m128i; 4] {
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let (halves, _) = block.as_chunks::<8>();
        std::array::from_fn(|i| {
            let low = i64::from_le_bytes(halves[2 * i]);
            let high = i64::from_le_bytes(halves[2 * i + 1]);
            _mm_shuffle_epi8(_mm_set_epi64x(high, low), swap)
        })
    }

    /// The first word becomes the lowest lane.
    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn from_words(words: [u32; 4]) -> __m128i {
        let [a, b, c, d] = words.map(u32::cast_signed);
        _mm_set_epi32(d, c, b, a)
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn load_state(state: &State) -> Lane {
        let [a, b, c, d, e, f, g, h] = *state;
        Lane {
            abef: from_words([f, e, b, a]),
            cdgh: from_words([h, g, d, c]),
            words: [_mm_setzero_si128(); 4],
        }
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn store_state(lane: Lane) -> State {
        let words = |vector| {
            [
                _mm_extract_epi32(vector, 0),
                _mm_extract_epi32(vector, 1),
                _mm_extract_epi32(vector, 2),
                _mm_extract_epi32(vector, 3),
            ]
            .map(i32::cast_unsigned)
        };
        let [f, e, b, a] = words(lane.abef);
        let [h, g, d, c] = words(lane.cdgh);
        [a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn like_sha2_one_after_the_other(
            states: [State; 2],
            bytes in proptest::collection::vec(any::<u8>(), 0..700),
            split in 0_usize..700,
        ) {
            let (first, second) = bytes.split_at(split.min(bytes.len()));
            let (first, second) = (first.as_chunks().0, second.as_chunks().0);
            let both = first.len().min(second.len());
            let mut want = states;
            compress256(&mut want[0], &first[..both]);
            compress256(&mut want[1], &second[..both]);
            let [mut a, mut b] = states;
            compress_two([&mut a, &mut b], [first, second]);
            prop_assert_eq!([a, b], want);
        }
    }
}
