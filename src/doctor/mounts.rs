//! Mount options, as Linux tells them.

use std::path::{Path, PathBuf};

/// The options of the mount that `path` lies on, from the text of
/// `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
pub(super) fn options(mountinfo: &str, path: &Path) -> Option<Vec<String>> {
    let mut best: Option<(PathBuf, &str)> = None;
    for line in mountinfo.lines() {
        let mut fields = line.split(' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else {
            continue;
        };
        let point = PathBuf::from(unescape(point));
        // Of mounts on one point the last is on top.
        let longer = best
            .as_ref()
            .is_none_or(|(known, _)| point.components().count() >= known.components().count());
        if path.starts_with(&point) && longer {
            best = Some((point, options));
        }
    }
    let (_, options) = best?;
    Some(options.split(',').map(str::to_owned).collect())
}

/// Blanks and the like stand as `\040`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, code) {
            (b'\\', Some(code)) => {
                bytes.push(code);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let info = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                    40 22 0:35 / /home rw,noatime - btrfs /dev/sdb rw\n\
                    41 22 0:36 / /home/my\\040disk ro,nosuid,relatime - ext4 /dev/sdc ro\n\
                    garbage\n";
        for (path, first) in [
            ("/usr", "rw relatime"),
            ("/home/u/go", "rw noatime"),
            ("/homes", "rw relatime"),
            ("/home/my disk/go", "ro nosuid relatime"),
        ] {
            let options = options(info, Path::new(path)).unwrap();
            assert_eq!(options.join(" "), first, "{path}");
        }
        assert_eq!(options("", Path::new("/")), None);
    }
}
