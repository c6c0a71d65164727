//! Zips are read as Go reads them, or refused where another reader sees other
//! files: held against the code of the installed Go itself.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use gocachevet::tested::formats::ModuleVersion;
use gocachevet::tested::zip_h1;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use support::zip::{End, Form, Part, part, zip};
use support::{Dice, GosOwn, full_campaign};

const PREFIX: &str = "example.com/m@v1.0.0/";

fn id() -> ModuleVersion {
    ModuleVersion::new("example.com/m", "v1.0.0")
}

/// What Go's zips are refused for here and not by Go: other readers, that go
/// from header to header, guess, or heed what Go passes over, see other files.
const STRICTER: &[&str] = &[
    // Go takes the last end record wherever it stands, others the first or none.
    "has bytes after its end record",
    // Go reads on as if the other parts were there.
    "is a part of several",
    // Go looks at the long fields of zip64 only in some cases.
    "counts its entries or sizes in two ways",
    // Go guesses where the directory is; self-extracting programs hide before it.
    "has bytes before its directory's end",
    // Go stops at the first odd entry and compares 16 bits of the count.
    "has a directory entry that is none",
    "where its end record says",
    "claims",
    "than it could have",
    // Go reads the bytes as they are, others decipher them.
    "has an encrypted entry",
    // Info-ZIP's other name, which Go does not know.
    "has an entry with two names",
    // Who reads a stream sees nothing but these.
    "has a local header that differs",
    "has entries that overlap",
    "has bytes that belong to no entry",
    "has a data descriptor that differs",
    // Go writes a link's target into a file, others make a link.
    "not a regular file",
];

/// Go's reader, compiled from the source that cmd/go was built from.
struct Reader(GosOwn);

impl Reader {
    fn new() -> Reader {
        Reader(GosOwn::build("zips", |_, _| ()))
    }

    /// Go's h1 of each zip, or why it takes none of it.
    fn read(&self, zips: &[(ModuleVersion, PathBuf)]) -> Vec<Result<String, String>> {
        let line = |(id, file): &(ModuleVersion, PathBuf)| {
            format!("{} {} {}\n", id.path, id.version, file.display())
        };
        let lines: Vec<String> = zips.iter().map(line).collect();
        self.0.ask(&lines)
    }

    /// Both answers on zips of one module.
    fn both(&self, zips: &[Vec<u8>]) -> Vec<[Result<String, String>; 2]> {
        let files: Vec<_> = zips
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                let path = self.0.env.dir().join(format!("{index}.zip"));
                fs::write(&path, bytes).unwrap();
                (id(), path)
            })
            .collect();
        let go = self.read(&files);
        let ours = files.iter().map(|(id, path)| ours(id, path));
        go.into_iter()
            .zip(ours)
            .map(|(go, ours)| [go, ours])
            .collect()
    }
}

fn ours(id: &ModuleVersion, path: &Path) -> Result<String, String> {
    let h1 = zip_h1(id, File::open(path).unwrap());
    h1.map(|h1| h1.to_string())
        .map_err(|error| error.to_string())
}

fn named(name: &str, content: &[u8], form: Form) -> Part {
    part(&format!("{PREFIX}{name}"), content, form)
}

/// Sound files in every form.
fn parts(form: Form) -> Vec<Part> {
    let long: Vec<u8> = (0..3000_u32).flat_map(|n| (n / 9).to_le_bytes()).collect();
    vec![
        named("go.mod", b"module example.com/m\n", form),
        named("a.go", b"package m\n\n// a a a a a a a a a a a a\n", form),
        named("sub/b.go", &long, form),
        named("sub/empty", b"", form),
    ]
}

/// What Go makes of a zip, and what is made of it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    BothTake,
    /// Go takes it; here it is refused for one of [`STRICTER`].
    Stricter,
    BothRefuse,
}
use Want::{BothRefuse, BothTake, Stricter};

fn on(form: Form, change: impl Fn(&mut Vec<Part>, &mut End)) -> Vec<u8> {
    let (mut parts, mut end) = (parts(form), End::default());
    change(&mut parts, &mut end);
    zip(&parts, &end)
}

fn unicode_path(name: &str) -> Vec<u8> {
    let field = [&[1, 0, 0, 0, 0], name.as_bytes()].concat();
    [&[0x75, 0x70, field.len() as u8, 0], &*field].concat()
}

/// The forms that readers are known to take differently, and some that all take.
fn forms() -> Vec<(&'static str, Want, Vec<u8>)> {
    use Form::{Packed, Stored, Streamed};
    let evil = || named("a.go", b"package evil\n", Packed);
    vec![
        ("as Go writes it", BothTake, on(Streamed, |_, _| {})),
        ("sizes before", BothTake, on(Packed, |_, _| {})),
        ("not packed", BothTake, on(Stored, |_, _| {})),
        (
            "a comment",
            BothTake,
            on(Streamed, |_, end| end.comment = b"of mine".to_vec()),
        ),
        (
            "a folder",
            BothTake,
            on(Streamed, |parts, _| parts.push(named("sub/", b"", Stored))),
        ),
        (
            "zip64 not needed",
            BothTake,
            on(Streamed, |_, end| end.zip64 = true),
        ),
        (
            "zip64 in full",
            BothTake,
            on(Streamed, |_, end| (end.zip64, end.full) = (true, true)),
        ),
        (
            "other order of contents",
            BothTake,
            on(Packed, |parts, _| parts.swap(1, 2)),
        ),
        (
            "descriptor without signature",
            BothTake,
            on(Streamed, |parts, _| {
                parts[1].behind.drain(..4);
            }),
        ),
        (
            "descriptor of 64 bits",
            BothTake,
            on(Streamed, |parts, _| {
                let part = &mut parts[1];
                let sizes = [part.packed, part.size].map(|size| u64::from(size).to_le_bytes());
                part.behind.truncate(8);
                part.behind.extend(sizes.concat());
            }),
        ),
        (
            "no CRC, no descriptor",
            BothTake,
            on(Packed, |parts, _| {
                (parts[1].crc, parts[1].local.crc) = (0, 0);
            }),
        ),
        (
            "no CRC, a descriptor of none",
            BothRefuse,
            on(Streamed, |parts, _| {
                parts[1].crc = 0;
                parts[1].behind = parts[1].descriptor();
            }),
        ),
        (
            "no CRC, the right descriptor",
            BothRefuse,
            on(Streamed, |parts, _| parts[1].crc = 0),
        ),
        (
            "no descriptor where the flag says so",
            BothRefuse,
            on(Streamed, |parts, _| {
                parts[3].behind.clear();
            }),
        ),
        (
            "sizes differ in the descriptor",
            Stricter,
            on(Streamed, |parts, _| {
                parts[1].behind[8] ^= 1;
            }),
        ),
        (
            "local name differs",
            Stricter,
            on(Packed, |parts, _| {
                parts[1].local.name = format!("{PREFIX}b.go").into_bytes();
            }),
        ),
        (
            "local size differs",
            Stricter,
            on(Packed, |parts, _| parts[1].local.size += 1),
        ),
        (
            "local packed size differs",
            Stricter,
            on(Packed, |parts, _| parts[1].local.packed -= 1),
        ),
        (
            "local CRC differs",
            Stricter,
            on(Packed, |parts, _| parts[1].local.crc ^= 1),
        ),
        (
            "local method differs",
            Stricter,
            on(Packed, |parts, _| parts[1].local.method = 0),
        ),
        (
            "only the directory has the descriptor's flag",
            Stricter,
            on(Streamed, |parts, _| {
                parts[1].local.flags = 0;
            }),
        ),
        (
            "only the header has it",
            Stricter,
            on(Packed, |parts, _| parts[1].local.flags = 8),
        ),
        (
            "a hidden file",
            Stricter,
            on(Packed, |parts, _| {
                parts.insert(
                    1,
                    Part {
                        hidden: true,
                        ..evil()
                    },
                );
            }),
        ),
        (
            "a hidden file at the end",
            Stricter,
            on(Packed, |parts, _| {
                parts.push(Part {
                    hidden: true,
                    ..evil()
                });
            }),
        ),
        (
            "a gap",
            Stricter,
            on(Packed, |parts, _| parts[1].behind = vec![0; 5]),
        ),
        (
            "a gap of a descriptor's size",
            Stricter,
            on(Packed, |parts, _| {
                parts[1].behind = parts[1].descriptor();
            }),
        ),
        (
            "one content for two files",
            Stricter,
            on(Stored, |parts, _| {
                let twin = Part {
                    name: format!("{PREFIX}c.go").into_bytes(),
                    at: Some(0),
                    ..parts[0].clone()
                };
                parts.push(twin);
            }),
        ),
        ("a second directory", Stricter, {
            let other = zip(&[evil()], &End::default());
            let sound = on(Packed, |_, _| {});
            [other, sound].concat()
        }),
        (
            "a second directory, offsets right",
            Stricter,
            on(Packed, |parts, end| {
                let other = zip(&[evil()], &End::default());
                end.before = other[other.len() - 22 - 46 - PREFIX.len() - 4..].to_vec();
                assert_eq!(parts.len(), 4);
            }),
        ),
        (
            "bytes behind the directory",
            Stricter,
            on(Packed, |_, end| end.behind = b"PK\x05\x05\0\0".to_vec()),
        ),
        (
            "bytes at the end",
            Stricter,
            [on(Packed, |_, _| {}), b"more".to_vec()].concat(),
        ),
        ("other disks", Stricter, on(Packed, |_, end| end.disk = 1)),
        (
            "an entry on another disk",
            Stricter,
            on(Packed, |parts, _| parts[1].disk = 1),
        ),
        (
            "encrypted by flag",
            Stricter,
            on(Packed, |parts, _| parts[1].flags = 1),
        ),
        (
            "encrypted by the header's flag",
            Stricter,
            on(Packed, |parts, _| parts[1].local.flags = 1),
        ),
        (
            "a second name",
            Stricter,
            on(Packed, |parts, _| parts[1].extra = unicode_path("evil.go")),
        ),
        (
            "a second name in the header",
            Stricter,
            on(Packed, |parts, _| {
                parts[1].local.extra = unicode_path("evil.go");
            }),
        ),
        (
            "the same name again",
            BothTake,
            on(Packed, |parts, _| {
                parts[1].extra = unicode_path(&format!("{PREFIX}a.go"));
            }),
        ),
        (
            "a link",
            Stricter,
            on(Packed, |parts, _| {
                (parts[1].made_by, parts[1].attributes) = (3 << 8, 0o120_777 << 16);
            }),
        ),
        (
            "a count too large by 65536",
            BothRefuse,
            on(Packed, |_, end| end.more = 1),
        ),
        (
            "zip64 that says something else",
            Stricter,
            on(Packed, |parts, end| {
                end.zip64 = true;
                end.more = 0;
                parts[1].hidden = false;
                end.behind = Vec::new();
            })
            .iter()
            .rev()
            .copied()
            .enumerate()
            // The size of the directory in the long record, 22 + 20 + 16 bytes
            // from the end.
            .map(|(from_end, byte)| if from_end == 57 { byte ^ 1 } else { byte })
            .collect::<Vec<u8>>()
            .into_iter()
            .rev()
            .collect(),
        ),
        (
            "a file twice",
            BothRefuse,
            on(Packed, |parts, _| parts.push(evil())),
        ),
        (
            "case alone differs",
            BothRefuse,
            on(Packed, |parts, _| parts.push(named("A.go", b"", Packed))),
        ),
        (
            "file and folder",
            BothRefuse,
            on(Packed, |parts, _| parts.push(named("sub", b"", Packed))),
        ),
        (
            "climbs out",
            BothRefuse,
            on(Packed, |parts, _| parts.push(named("../a", b"", Packed))),
        ),
        (
            "another module",
            BothRefuse,
            on(Packed, |parts, _| {
                parts.push(part("other.com/m@v1.0.0/a", b"", Packed))
            }),
        ),
        (
            "a go.mod below",
            BothRefuse,
            on(Packed, |parts, _| {
                parts.push(named("sub/go.mod", b"", Packed))
            }),
        ),
        (
            "larger than Go's limit",
            BothRefuse,
            on(Packed, |parts, _| parts[1].size = (500 << 20) + 1),
        ),
        (
            "longer than it says",
            BothRefuse,
            on(Packed, |parts, _| {
                (parts[2].size, parts[2].local.size) = (10, 10);
            }),
        ),
        (
            "packed by another method",
            BothRefuse,
            on(Packed, |parts, _| {
                (parts[1].method, parts[1].local.method) = (12, 12);
            }),
        ),
        ("nothing", BothRefuse, Vec::new()),
        ("no files", BothTake, zip(&[], &End::default())),
        ("half", BothRefuse, on(Packed, |_, _| {})[..200].to_vec()),
    ]
}

#[test]
fn forms_that_readers_take_differently_are_refused_and_no_others() {
    let reader = Reader::new();
    let forms = forms();
    let zips: Vec<Vec<u8>> = forms.iter().map(|(_, _, zip)| zip.clone()).collect();
    let mut wrong = Vec::new();
    for ((name, want, _), [go, ours]) in forms.iter().zip(reader.both(&zips)) {
        let is = match (&go, &ours) {
            (Ok(go), Ok(ours)) if go == ours => Some(BothTake),
            (Ok(_), Err(why)) if STRICTER.iter().any(|known| why.contains(known)) => Some(Stricter),
            (Err(_), Err(_)) => Some(BothRefuse),
            _ => None,
        };
        if is != Some(*want) {
            wrong.push(format!(
                "{name}: wanted {want:?}\n  Go: {go:?}\n  here: {ours:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.len() < 22 {
        return;
    }
    let at = dice.roll(bytes.len());
    match dice.roll(7) {
        0 => bytes[at] ^= 1 << dice.roll(8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.roll(5)],
        2 => {
            let len = dice.roll(40).min(bytes.len() - at);
            bytes.drain(at..at + len);
        }
        3 => {
            let len = dice.roll(60).min(bytes.len() - at);
            let copy = bytes[at..at + len].to_vec();
            let to = dice.roll(bytes.len());
            bytes.splice(to..to, copy);
        }
        4 => {
            let len = dice.roll(60).min(bytes.len() - at);
            let copy = bytes[at..at + len].to_vec();
            let to = dice.roll(bytes.len() - len + 1);
            bytes[to..to + len].copy_from_slice(&copy);
        }
        5 => bytes.splice(at..at, vec![0; dice.roll(30)]).for_each(drop),
        // A number in one of the records.
        _ => {
            let signatures: Vec<usize> = (0..bytes.len() - 4)
                .filter(|&at| bytes[at..].starts_with(b"PK") && bytes[at + 2] < 9)
                .collect();
            if let Some(&record) = signatures.get(dice.roll(signatures.len().max(1))) {
                let field = (record + 4 + 2 * dice.roll(21)).min(bytes.len() - 1);
                bytes[field] = bytes[field].wrapping_add([1, 255, 8, 128][dice.roll(4)]);
            }
        }
    }
}

#[test]
fn mutated_zips_are_read_as_go_reads_them() {
    let reader = Reader::new();
    let sound: Vec<Vec<u8>> = forms()
        .into_iter()
        .filter(|(_, want, _)| *want == BothTake)
        .map(|(_, _, zip)| zip)
        .collect();
    let mut dice = Dice::new("zips");
    let [mut taken, mut stricter, mut refused] = [0; 3];
    for _ in 0..if full_campaign() { 200 } else { 1 } {
        let zips: Vec<Vec<u8>> = (0..600)
            .map(|_| {
                let mut bytes = sound[dice.roll(sound.len())].clone();
                (0..=dice.roll(2)).for_each(|_| mutate(&mut bytes, &mut dice));
                bytes
            })
            .collect();
        for (bytes, both) in zips.iter().zip(reader.both(&zips)) {
            match &both {
                [Ok(go), Ok(ours)] if go == ours => taken += 1,
                [Err(_), Err(_)] => refused += 1,
                [Ok(_), Err(why)] if STRICTER.iter().any(|known| why.contains(known)) => {
                    stricter += 1;
                }
                [go, ours] => {
                    let path = Path::new("target/test-log/differs.zip");
                    fs::create_dir_all("target/test-log").unwrap();
                    fs::write(path, bytes).unwrap();
                    panic!("Go: {go:?}\nhere: {ours:?}\n{}", path.display());
                }
            }
        }
    }
    // All three were tried in earnest.
    assert!(
        taken > 20 && stricter > 20 && refused > 20,
        "{taken} {stricter} {refused}"
    );
}

#[test]
fn what_the_module_proxy_serves_is_taken_as_go_takes_it() {
    let reader = Reader::new();
    let (proxy, _) = support::proxy();
    let mut zips = Vec::new();
    zips_below(Path::new(proxy.strip_prefix("file://").unwrap()), &mut zips);
    assert!(zips.len() > 30, "{}", zips.len());
    for ((id, path), go) in zips.iter().zip(reader.read(&zips)) {
        assert_eq!(ours(id, path), go, "{id}");
        assert!(go.is_ok(), "{id}: {go:?}");
    }
}

fn zips_below(folder: &Path, found: &mut Vec<(ModuleVersion, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            zips_below(&path, found);
        } else if path.extension().is_some_and(|it| it == "zip") {
            found.push((id_of(&path), path));
        }
    }
}

/// Zips tell their module themselves: by their first name.
fn id_of(path: &Path) -> ModuleVersion {
    let bytes = fs::read(path).unwrap();
    let len = usize::from(u16::from_le_bytes([bytes[26], bytes[27]]));
    let name = std::str::from_utf8(&bytes[30..30 + len]).unwrap();
    let (module, rest) = name.split_once('@').unwrap();
    ModuleVersion::new(module, rest.split('/').next().unwrap())
}
