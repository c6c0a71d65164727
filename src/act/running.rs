//! The `go` commands that run beside a removal.

use std::time::{Duration, Instant};

/// How long a removal waits for them: longer than `go` takes to look through
/// the sources of a build with a warm cache. One that compiles for minutes is
/// not waited for; the grace is what protects it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The `go` commands that run on this machine, but for those that run this
/// program. Where `/proc` does not tell, none.
pub(super) struct Running(Vec<Process>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    parent: u32,
    command: String,
    /// Tells it from another with its number.
    started: u64,
}

impl Running {
    pub(super) fn now() -> Running {
        let mut processes = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok());
            processes.extend(id.and_then(process));
        }
        Running(go_commands(&processes, crate::parallel::process_id()))
    }

    /// Returns when they have ended, or patience has.
    pub(super) fn wait(mut self) {
        let start = Instant::now();
        loop {
            self.0
                .retain(|known| process(known.id).is_some_and(|now| now == *known));
            if self.0.is_empty() || start.elapsed() >= PATIENCE {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn process(id: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    parse(id, &stat)
}

/// `PID (COMMAND) STATE PARENT …`, the 22nd field the time it started
/// (proc_pid_stat(5)). The command may hold anything. `None` for one that has
/// ended and waits to be taken note of.
fn parse(id: u32, stat: &str) -> Option<Process> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, command) = before.split_once('(')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    if *fields.first()? == "Z" {
        return None;
    }
    Some(Process {
        id,
        parent: fields.get(1)?.parse().ok()?,
        command: command.to_owned(),
        started: fields.get(19)?.parse().ok()?,
    })
}

fn go_commands(processes: &[Process], own: u32) -> Vec<Process> {
    let mut ancestors = vec![own];
    while let Some(parent) = ancestors
        .last()
        .and_then(|id| processes.iter().find(|process| process.id == *id))
        .map(|process| process.parent)
        .filter(|parent| !ancestors.contains(parent))
    {
        ancestors.push(parent);
    }
    processes
        .iter()
        .filter(|process| process.command == "go" && !ancestors.contains(&process.id))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let rest = "S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0";
        let read = parse(9, &format!("9 (a) (b c) {rest}")).unwrap();
        assert_eq!(
            (read.parent, &*read.command, read.started),
            (7, "a) (b c", 4711)
        );
        assert_eq!(
            parse(9, &format!("9 (go) {}", rest.replace('S', "Z"))),
            None
        );
        for broken in ["", "9 (go", "9 (go) S", "9 (go) S x"] {
            assert_eq!(parse(9, broken), None, "{broken}");
        }
    }

    #[test]
    fn those_that_run_this_program_are_not_waited_for() {
        let process = |id, parent, command: &str| Process {
            id,
            parent,
            command: command.to_owned(),
            started: 0,
        };
        let all = [
            process(1, 0, "init"),
            process(2, 1, "go"),
            process(3, 2, "gocachevet"),
            process(4, 1, "go"),
            process(5, 4, "compile"),
        ];
        let waited: Vec<u32> = go_commands(&all, 3).iter().map(|go| go.id).collect();
        assert_eq!(waited, [4]);
        assert_eq!(go_commands(&all, 99).len(), 2);
    }
}
