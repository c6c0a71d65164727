//! Signed notes and the keys that verify them.
//!
//! The format is that of `golang.org/x/mod/sumdb/note`: a text whose lines all
//! end in a newline, a blank line, and one line per signature,
//! `— <name> <base64 of (key hash, signature)>`. What is signed is the text,
//! its last newline included.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
#[cfg(any(test, target_os = "linux"))]
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest, Sha256};
#[cfg(target_os = "linux")]
use zeroize::Zeroizing;

/// The one key type that notes know: Ed25519.
const ALGORITHM_ED25519: u8 = 1;

/// As in Go: a note with more signatures than this is malformed.
const MAX_SIGNATURES: usize = 100;

const SIGNATURE_PREFIX: &str = "— ";

#[cfg(target_os = "linux")]
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// A public key, such as a database's, read from its text form `name+hash+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    hash: [u8; 4],
    key: VerifyingKey,
}

/// Why a key's text form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form `name+hash+key`.
    #[error("malformed key: expected name+hash+key")]
    Malformed,
    /// The hash is not that of name and key.
    #[error("the key's hash does not fit its name and key")]
    Hash,
    /// A key of another type than Ed25519, or no point of its curve.
    #[error("unknown kind of key")]
    Algorithm,
}

/// Why a note was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note at all.
    #[error("malformed signed note")]
    Malformed,
    /// No signature by the wanted key.
    #[error("not signed with the database's key")]
    Unsigned,
    /// A signature by the wanted key that does not hold.
    #[error("the signature does not hold")]
    Signature,
}

impl Verifier {
    /// Reads `name+hash+key` (`note.go:NewVerifier`): the hash is 8 hexadecimal
    /// digits, the key base64 of its type byte and its 32 bytes.
    ///
    /// # Errors
    ///
    /// A [`KeyError`] that tells what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Malformed)?;
        let (hash, key) = rest.split_once('+').ok_or(KeyError::Malformed)?;
        let all_hex = hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let encoded = STANDARD.decode(key).map_err(|_| KeyError::Malformed)?;
        if !is_valid_name(name) || !all_hex || encoded.is_empty() {
            return Err(KeyError::Malformed);
        }
        let hash = u32::from_str_radix(hash, 16).map_err(|_| KeyError::Malformed)?;
        if hash.to_be_bytes() != key_hash(name, &encoded) {
            return Err(KeyError::Hash);
        }
        let (&algorithm, key) = encoded.split_first().ok_or(KeyError::Malformed)?;
        if algorithm != ALGORITHM_ED25519 {
            return Err(KeyError::Algorithm);
        }
        let key = <[u8; 32]>::try_from(key).map_err(|_| KeyError::Malformed)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| KeyError::Algorithm)?;
        Ok(Self {
            name: name.to_owned(),
            hash: hash.to_be_bytes(),
            key,
        })
    }

    /// The database's name: a host, or a host and a path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn hex_hash(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.hash))
    }

    /// Its type byte and its 32 bytes.
    fn encoded(&self) -> Vec<u8> {
        [&[ALGORITHM_ED25519], self.key.as_bytes().as_slice()].concat()
    }

    /// Returns the text of `message` if it is a note signed with this key
    /// (`note.go:Open`). Signatures with other keys are passed over.
    ///
    /// Stricter than Go in one point: base64 with spare bits set is refused,
    /// since no signer writes it.
    ///
    /// # Errors
    ///
    /// A [`NoteError`]; with an error nothing of the note may be used.
    pub fn open<'a>(&self, message: &'a [u8]) -> Result<&'a str, NoteError> {
        let message = std::str::from_utf8(message).map_err(|_| NoteError::Malformed)?;
        if message.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::Malformed);
        }
        let (text, signatures) = message.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let text = message
            .get(..text.len() + 1) // with the newline that ends the text
            .ok_or(NoteError::Malformed)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;

        let mut signed = false;
        for (seen, line) in signatures.split('\n').enumerate() {
            if seen >= MAX_SIGNATURES {
                return Err(NoteError::Malformed);
            }
            let (name, hash, signature) = parse_signature(line).ok_or(NoteError::Malformed)?;
            if name != self.name || hash != self.hash || signed {
                continue;
            }
            let signature = Signature::from_slice(&signature).map_err(|_| NoteError::Signature)?;
            self.key
                .verify(text.as_bytes(), &signature)
                .map_err(|_| NoteError::Signature)?;
            signed = true;
        }
        if signed {
            Ok(text)
        } else {
            Err(NoteError::Unsigned)
        }
    }
}

/// A key that signs notes. It is wiped when it goes.
#[cfg(any(test, target_os = "linux"))]
pub(crate) struct Signer {
    verifier: Verifier,
    key: SigningKey,
}

#[cfg(any(test, target_os = "linux"))]
impl Signer {
    pub(crate) fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_valid_name(name) {
            return Err(KeyError::Malformed);
        }
        let key = SigningKey::from_bytes(seed);
        let mut verifier = Verifier {
            name: name.to_owned(),
            hash: [0; 4],
            key: key.verifying_key(),
        };
        verifier.hash = key_hash(name, &verifier.encoded());
        Ok(Self { verifier, key })
    }

    /// Reads `PRIVATE+KEY+name+hash+key` (`note.go:NewSigner`): the key is base64 of
    /// its type byte and of its 32 bytes, the hash that of the public key.
    ///
    /// # Errors
    ///
    /// A [`KeyError`], which shows nothing of the text.
    #[cfg(target_os = "linux")]
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let rest = text.strip_prefix(SECRET_PREFIX);
        let (name, rest) = rest
            .and_then(|rest| rest.split_once('+'))
            .ok_or(KeyError::Malformed)?;
        let (hash, key) = rest.split_once('+').ok_or(KeyError::Malformed)?;
        let mut decoded = Zeroizing::new([0; 36]);
        let length = STANDARD
            .decode_slice(key, &mut decoded[..])
            .map_err(|_| KeyError::Malformed)?;
        let (&algorithm, seed) = decoded.split_first().ok_or(KeyError::Malformed)?;
        let seed = seed.first_chunk().filter(|_| length == 33);
        if algorithm != ALGORITHM_ED25519 {
            return Err(KeyError::Algorithm);
        }
        let signer = Self::new(name, seed.ok_or(KeyError::Malformed)?)?;
        match signer.verifier.hex_hash() == hash {
            true => Ok(signer),
            false => Err(KeyError::Hash),
        }
    }

    /// The secret, in the form that [`Signer::parse`] reads.
    #[cfg(target_os = "linux")]
    pub(crate) fn secret(&self) -> Zeroizing<String> {
        let mut key = Zeroizing::new(vec![ALGORITHM_ED25519]);
        key.extend_from_slice(self.key.as_bytes());
        let Verifier { name, .. } = &self.verifier;
        let hash = self.verifier.hex_hash();
        let key = Zeroizing::new(STANDARD.encode(&key));
        Zeroizing::new(format!("{SECRET_PREFIX}{name}+{hash}+{}", *key))
    }

    pub(crate) fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// One signature line for `text`.
    fn signature_line(&self, text: &str) -> String {
        let mut bytes = self.verifier.hash.to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        let name = &self.verifier.name;
        format!("{SIGNATURE_PREFIX}{name} {}\n", STANDARD.encode(bytes))
    }

    /// A note of this text, whose lines all end in a newline.
    pub(crate) fn sign(&self, text: &str) -> String {
        format!("{text}\n{}", self.signature_line(text))
    }
}

impl fmt::Display for Verifier {
    /// The text form that [`Verifier::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hash, key) = (self.hex_hash(), self.encoded());
        write!(f, "{}+{hash}+{}", self.name, STANDARD.encode(key))
    }
}

/// Splits one signature line into name, key hash and signature.
fn parse_signature(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (hash, signature) = bytes.split_first_chunk::<4>()?;
    if !is_valid_name(name) || signature.is_empty() {
        return None;
    }
    Some((name, *hash, signature.to_vec()))
}

/// `note.go:isValidName`.
fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// `note.go:keyHash`; `key` starts with its type byte.
fn key_hash(name: &str, key: &[u8]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update("\n")
        .chain_update(key)
        .finalize();
    let mut hash = [0; 4];
    hash.copy_from_slice(&digest[..4]);
    hash
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Signer;

    /// A key of so many times this byte.
    pub(crate) fn signer(name: &str, seed: u8) -> Signer {
        Signer::new(name, &[seed; 32]).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::signer;
    use super::*;

    #[cfg(target_os = "linux")]
    const SECRET: &str =
        "PRIVATE+KEY+ci.example+d9cbc06d+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
    #[cfg(target_os = "linux")]
    const PUBLIC: &str = "ci.example+d9cbc06d+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

    const GO_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

    /// A tree head as the public database signed it.
    const GO_NOTE: &str = "go.sum database tree\n51929436\n\
        mQw+jf8Ko94JweSoG8190LvpV8myM/RNeAJ9TYKnia8=\n\n\
        — sum.golang.org Az3grkpNqcZOcvUPGEii+HGw4Omo/J/g+pjjn1+rGRhg6mVhwZBlloAIY+YYfBmHnOZbau4dxH0uzFPHVnZnnD3Sfg4=\n";

    #[test]
    fn reads_the_public_key_and_writes_it_back() {
        let verifier = Verifier::parse(GO_KEY).unwrap();
        assert_eq!(verifier.name(), "sum.golang.org");
        assert_eq!(verifier.to_string(), GO_KEY);
    }

    #[test]
    fn opens_a_note_of_the_public_database() {
        let verifier = Verifier::parse(GO_KEY).unwrap();
        let text = verifier.open(GO_NOTE.as_bytes()).unwrap();
        assert_eq!(text.lines().nth(1), Some("51929436"));
        assert!(text.ends_with("nia8=\n"));
    }

    #[test]
    fn refuses_bad_keys() {
        for (text, error) in [
            ("", KeyError::Malformed),
            ("sum.golang.org", KeyError::Malformed),
            ("sum.golang.org+033de0ae", KeyError::Malformed),
            ("sum.golang.org+033de0ae+", KeyError::Malformed),
            (
                "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                KeyError::Malformed,
            ),
            (
                "a b+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                KeyError::Malformed,
            ),
            (
                "sum.golang.org+33de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                KeyError::Malformed,
            ),
            (
                "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                KeyError::Hash,
            ),
            (
                "sum.example.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                KeyError::Hash,
            ),
        ] {
            assert_eq!(Verifier::parse(text), Err(error), "{text}");
        }
    }

    /// What `note.GenerateKey` of golang.org/x/mod gives for 32 bytes of 7.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_secret_key_comes_back_as_it_was_written() {
        let signer = signer("ci.example", 7);
        let secret = signer.secret();
        assert_eq!(*secret, SECRET);
        assert_eq!(signer.verifier().to_string(), PUBLIC);
        let again = Signer::parse(&secret).unwrap();
        let text = "text\n";
        let note = again.sign(text);
        let key = Verifier::parse(PUBLIC).unwrap();
        assert_eq!(key.open(note.as_bytes()), Ok(text));
        for (text, error) in [
            (String::new(), KeyError::Malformed),
            (PUBLIC.to_owned(), KeyError::Malformed),
            (secret.replace("ci.", "cd."), KeyError::Hash),
            (secret.replace("+AQ", "+Ag"), KeyError::Algorithm),
            (secret[..secret.len() - 4].to_owned(), KeyError::Malformed),
            (format!("{}AAAA", *secret), KeyError::Malformed),
        ] {
            assert_eq!(Signer::parse(&text).err(), Some(error), "{text}");
        }
        assert!(Signer::new("a b", &[7; 32]).is_err());
    }

    #[test]
    fn passes_over_signatures_of_others() {
        let mine = signer("mine.example", 1);
        let other = signer("other.example", 2);
        let text = "one\ntwo\n";
        let both = format!(
            "{text}\n{}{}",
            other.signature_line(text),
            mine.signature_line(text)
        );
        assert_eq!(mine.verifier().open(both.as_bytes()), Ok(text));

        let only_other = other.sign(text);
        assert_eq!(
            mine.verifier().open(only_other.as_bytes()),
            Err(NoteError::Unsigned)
        );
    }

    #[test]
    fn refuses_what_is_no_note() {
        let verifier = signer("mine.example", 1).verifier();
        for text in [
            "",
            "\n",
            "\n\n",
            "text\n",
            "text\n\n",
            "text\n\n—",
            "te\rxt\n\n— a b\n",
        ] {
            assert_eq!(
                verifier.open(text.as_bytes()),
                Err(NoteError::Malformed),
                "{text:?}"
            );
        }
        assert_eq!(verifier.open(b"\xff\n\n"), Err(NoteError::Malformed));
    }

    #[test]
    fn every_changed_byte_of_a_note_is_refused() {
        let verifier = Verifier::parse(GO_KEY).unwrap();
        for at in 0..GO_NOTE.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut bytes = GO_NOTE.as_bytes().to_vec();
                bytes[at] ^= flip;
                assert!(verifier.open(&bytes).is_err(), "byte {at} ^ {flip:#x}");
            }
        }
    }
}
