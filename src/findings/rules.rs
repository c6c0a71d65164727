use super::Level;
use serde::{Deserialize, Serialize};

/// A rule's stable name, its default level, and the advice that its findings
/// carry unless the case knows better. The long form of each is a section of
/// `docs/rules.md`.
macro_rules! rules {
    ($($variant:ident $name:literal $level:ident $help:literal)*) => {
        /// What a finding is an instance of. Names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[allow(missing_docs)]
        pub enum Rule {
            $(#[serde(rename = $name)] $variant,)*
        }

        impl Rule {
            /// Every rule, in the order of the documentation.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant),*];

            /// The kebab-case name.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name),* }
            }

            /// The level unless the configuration says otherwise.
            pub fn default_level(self) -> Level {
                match self { $(Rule::$variant => Level::$level),* }
            }

            /// What to do, in a sentence or two.
            pub fn help(self) -> &'static str {
                match self { $(Rule::$variant => $help),* }
            }
        }
    };
}

rules! {
    ZipHashMismatch "zip-hash-mismatch" Deny
        "Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed."
    ExtractedHashMismatch "extracted-hash-mismatch" Deny
        "Run `gocachevet trim --repair`, so that Go unpacks or downloads it again."
    ModHashMismatch "mod-hash-mismatch" Deny
        "Run `gocachevet trim --repair`; Go refuses to load this go.mod."
    ZiphashMismatch "ziphash-mismatch" Deny
        "Run `gocachevet trim --repair` so that Go writes the hash anew from a fresh download."
    SumdbMismatch "sumdb-mismatch" Deny
        "Ask the checksum database and the proxies (`gocachevet doctor --online`); do not build until you know which one changed."
    SumdbUnproven "sumdb-unproven" Note
        "Nothing to do: Go keeps records only of versions it had to look up."
    ConflictingClaims "conflicting-claims" Deny
        "Find out which hash is right (of public modules `gocachevet doctor --online` asks the checksum database), then remove the wrong line."
    ToolchainUnproven "toolchain-unproven" Deny
        "Outside any project run `GOTOOLCHAIN=local go clean -modcache`, and let Go download it again with the checksum database on; or install that Go version."
    FipsUnproven "fips-unproven" Warn
        "Name the Go installation whose `lib/fips140` has the snapshot: `gocachevet check --goroot DIR`."
    ModUnproven "mod-unproven" Warn
        "Run `go mod tidy`, which adds the missing line, and commit go.sum."
    NoTrust "no-trust" Warn
        "Name the project whose go.sum lists these modules: `gocachevet check --project DIR`, or all below a folder: `gocachevet check --projects-under DIR`."
    Unproven "unproven" Note
        "Name every project that uses the cache with `--project` or `--projects-under`. What no project lists, such as tools run by version, stays unproven."
    InfoUnproven "info-unproven" Note
        "Nothing to do: no checksum covers `.info` files, only their form and version can be checked."
    ZipInvalid "zip-invalid" Deny
        "Run `gocachevet trim --repair`; Go neither notices nor replaces a damaged zip by itself."
    ExtractedIncomplete "extracted-incomplete" Deny
        "Run `gocachevet trim --repair`; Go would use the tree as it is, or stop at it."
    InfoInvalid "info-invalid" Deny
        "Run `gocachevet trim --repair`; Go fetches the .info again."
    LinkInCache "link-in-cache" Deny
        "Run `gocachevet trim --repair` to remove the link, never what it leads to; then find out who made it."
    Drift "drift" Warn
        "The same version had another content before: find out which source changed (`gocachevet check --compare OTHER`)."
    PartialDownload "partial-download" Warn
        "No build needs it. Every trim removes it once it is a day old; at once, if no go command runs: `gocachevet trim --grace 0s`."
    OrphanFile "orphan-file" Warn
        "Go cannot use it alone. Every trim removes it once it is a day old; at once, if no go command runs: `gocachevet trim --grace 0s`."
    UnexpectedFile "unexpected-file" Warn
        "Go never writes this; look at it, then remove it by hand."
    LoneLock "lone-lock" Note
        "Nothing to do: a lock stays for good, after a lookup that failed and after a trim alike."
    VcsUnsafe "vcs-unsafe" Deny
        "Find out who can write to the cache, then run `gocachevet trim --repair`: the clone goes, and Go makes it anew."
    VcsUnproven "vcs-unproven" Note
        "Nothing to do: go.sum speaks for what Go makes of a clone. `gocachevet trim --vcs` removes idle ones."
    OutputHashMismatch "output-hash-mismatch" Deny
        "Run `gocachevet trim --repair`, or empty the build cache; Go links such an output without noticing."
    OutputSizeMismatch "output-size-mismatch" Warn
        "Harmless to builds: Go treats it as a miss and builds the output again. `gocachevet trim --repair` removes it."
    ActionInvalid "action-invalid" Warn
        "Harmless to builds: Go treats it as a miss and writes it again. `gocachevet trim --repair` removes it."
    OutputMissing "output-missing" Note
        "Harmless: Go builds the output again when it needs it."
    OutputOrphan "output-orphan" Note
        "Harmless: no build finds them. Every trim removes them once they are a day old; at once, if no go command runs: `gocachevet trim --grace 0s`."
    GoTrimStuck "go-trim-stuck" Warn
        "Go's own trim does not run on this cache: let the pipeline trim, by `gocachevet trim --max-age 5d`."
    LedgerInvalid "ledger-invalid" Warn
        "The next recorded job sets it aside and starts anew: `gocachevet check --record`. If it comes back, find out who writes it."
    SnapshotDamaged "snapshot-damaged" Deny
        "Nothing damaged was restored: the job makes it anew, and the next `gocachevet save` replaces it. Find out who can write to the store."
    SealMissing "seal-missing" Deny
        "Let a job that has the key restore and save: `restore --sealed-by` first, then `save --seal-key-env`. Until then `restore --on-unsealed skip` brings what go.sum proves."
    SealInvalid "seal-invalid" Deny
        "Find out who can write to the store; the next sealed save of the key replaces it. If the key was changed, name the new one as well (`--sealed-by`)."
    SealExpired "seal-expired" Deny
        "Let the job that seals run again; or allow for more (`--seal-max-age`)."
    SealWrongRef "seal-wrong-ref" Deny
        "Find out who put it there, or name the branch as well (`--sealed-ref`)."
    SealRolledBack "seal-rolled-back" Deny
        "Somebody put an older snapshot back, or the store was emptied: find out which. The next sealed save counts on."
    SealBrokenUnit "seal-broken-unit" Deny
        "It is not what was sealed: find out who can write to the store or to the cache, and restore into empty caches."
    OverThreshold "over-threshold" Deny
        "Run `gocachevet trim --unused` before the cache is saved, or raise the limit if what is there is meant."
    Unreadable "unreadable" Deny
        "Give this user read permission, or run the check as the user that owns the cache."
    ProjectFile "project-file" Warn
        "Let go.mod, go.sum and go.work be ordinary files that parse, or move a module that is meant to be broken below a folder named testdata."
    Policy "policy" Deny
        "Do what the policy module asks for, or ask whoever keeps it."
    SettingInvalid "setting-invalid" Deny
        "Give the setting a value that Go takes; until then no build runs."
    SettingIgnored "setting-ignored" Note
        "Remove the variable, then set what was meant."
    ProxyUnreached "proxy-unreached" Warn
        "Put `direct` or `off` last in GOPROXY."
    ProxyFallback "proxy-fallback" Warn
        "Separate the entries of GOPROXY with commas."
    ProxyMixed "proxy-mixed" Note
        "Let one proxy front the others."
    ProxyFailed "proxy-failed" Warn
        "Ask again; if it fails still, so does every build that needs a download."
    ProxyDisagrees "proxy-disagrees" Deny
        "Find out which one changed the version, and take it out of GOPROXY."
    SumdbOff "sumdb-off" Warn
        "Turn the checksum database on and exempt private modules by GOPRIVATE."
    SumdbSkipped "sumdb-skipped" Warn
        "Name private hosts and owners only."
    PrivateExposed "private-exposed" Warn
        "Add the pattern to GOPRIVATE."
    ModModInCi "mod-mod-in-ci" Warn
        "Remove -mod=mod from GOFLAGS in CI."
    ModcacheWritable "modcache-writable" Note
        "Remove -modcacherw from GOFLAGS unless something needs it."
    CacheOverlap "cache-overlap" Deny
        "Give each cache a folder of its own."
    CacheInWorkspace "cache-in-workspace" Warn
        "Move the cache out of the project, or under a name that starts with a dot."
    CacheOwner "cache-owner" Warn
        "Run every job that uses the cache as the same user."
    CacheUnwritable "cache-unwritable" Deny
        "Give the cache a folder that this user may write to."
    DiskLow "disk-low" Warn
        "Make room before the build, or put the caches on a larger volume."
    CaseFolding "case-folding" Note
        "Use one cache per operating system."
    NoAccessTimes "no-access-times" Note
        "Judge by references instead of by use."
    RestoreHazard "restore-hazard" Note
        "Restore the cache before any `go` command runs, and once."
    ToolchainDownload "toolchain-download" Note
        "Install the Go version that go.mod asks for, then empty the module cache once."
    ToolchainSwitch "toolchain-switch" Warn
        "Install the Go version that go.mod asks for and set GOTOOLCHAIN=local."
    GoSumMissing "go-sum-missing" Warn
        "Run `go mod tidy` and commit go.sum."
    ProjectUncounted "project-uncounted" Note
        "Name them with `--projects-under`."
    SourceTimes "source-times" Warn
        "Leave the files' times as the checkout makes them, and empty the build cache once."
    CheckoutTimes "checkout-times" Note
        "Give each file the time of its last commit after the checkout."
    GoSumUnused "go-sum-unused" Note
        "Run `go mod tidy` and commit go.sum."
}

impl Rule {
    /// Whether its findings name what nothing outside the cache vouches for:
    /// `--strict` denies those.
    pub fn names_unproven(self) -> bool {
        matches!(
            self,
            Rule::ToolchainUnproven
                | Rule::FipsUnproven
                | Rule::ModUnproven
                | Rule::NoTrust
                | Rule::Unproven
                | Rule::InfoUnproven
                | Rule::VcsUnproven
        )
    }

    /// Whether only the doctor finds such things.
    pub fn is_diagnosis(self) -> bool {
        (Rule::SettingInvalid..=Rule::GoSumUnused).contains(&self)
    }
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(name: &str) -> Result<Rule, String> {
        Rule::ALL
            .iter()
            .copied()
            .find(|rule| rule.name() == name)
            .ok_or_else(|| {
                let near = crate::text::nearest(name, Rule::ALL.iter().map(|rule| rule.name()));
                match near {
                    Some(near) => format!("unknown rule `{name}`; did you mean `{near}`?"),
                    None => format!("unknown rule `{name}`; `gocachevet explain` lists them all"),
                }
            })
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_serialise_as_themselves() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in Rule::ALL {
            assert!(seen.insert(rule.name()), "{rule} twice");
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
            assert_eq!(rule.name().parse::<Rule>().unwrap(), *rule);
        }
        let error = "zip-hash-missmatch".parse::<Rule>().unwrap_err();
        assert!(error.contains("`zip-hash-mismatch`"), "{error}");
    }
}
